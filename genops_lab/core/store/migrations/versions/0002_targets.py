"""Add targets, their kernels, and the place of a tracked run's process."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "targets",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("price_per_hour", sa.Float, nullable=True),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("locked", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_table(
        "remote_kernels",
        sa.Column("kernel_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("kernel_name", sa.Text, nullable=False),
        sa.Column("session_id", sa.String(64), nullable=True),
        sa.Column("path", sa.Text, nullable=True),
        sa.Column("type", sa.String(32), nullable=True),
        sa.Column("documented_seq", sa.BigInteger, nullable=False),
        sa.Column("file_hash", sa.String(64), nullable=True),
        sa.Column("incarnation", sa.String(64), nullable=True),
        sa.Column("owner", sa.String(64), nullable=True),
        sa.Column("started_at", sa.Float, nullable=False),
    )
    op.create_index("remote_kernels_target", "remote_kernels", ["target"])
    op.add_column("tracked_runs", sa.Column("place", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("tracked_runs", "place")
    for table in ("remote_kernels", "targets"):
        op.drop_table(table)
