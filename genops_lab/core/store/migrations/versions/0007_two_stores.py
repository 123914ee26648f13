"""Split the store: this one is local, a team's data is in the shared store, and changes wait here for it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("table_name", sa.String(64), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("posted_at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "former_stores",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(8), nullable=False),
    )


def downgrade() -> None:
    for table in ("former_stores", "outbox"):
        op.drop_table(table)
