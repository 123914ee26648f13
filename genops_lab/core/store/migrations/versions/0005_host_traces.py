"""Add the traces that kernels wrote on targets for profiles."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "host_traces",
        sa.Column("profile_id", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("deleted_at", sa.Float, nullable=True),
    )
    op.create_index("host_traces_target", "host_traces", ["target"])


def downgrade() -> None:
    op.drop_table("host_traces")
