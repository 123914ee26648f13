"""Add the history of aliases of registered models."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "genops_alias_moves",
        sa.Column("registry", sa.String(64), primary_key=True),
        sa.Column("made", sa.BigInteger, primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("alias", sa.Text, nullable=False),
        sa.Column("from_version", sa.Text, nullable=True),
        sa.Column("to_version", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("since", sa.Float, nullable=True),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tagged", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
    )
    op.create_index("genops_alias_moves_at", "genops_alias_moves", ["registry", "made", "at", "id"])
    op.create_table(
        "genops_aliases",
        sa.Column("registry", sa.String(64), primary_key=True),
        sa.Column("made", sa.BigInteger, primary_key=True),
        sa.Column("alias", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("last", sa.String(64), nullable=False),
        sa.Column("moving", sa.String(64), nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("aliases", "alias_moves"):
        op.drop_table(f"genops_{table}")
