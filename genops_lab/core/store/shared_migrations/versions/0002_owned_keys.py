"""Add the owner to idempotency keys. No earlier version wrote keys into a shared store."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_REST = (
    ("operation", sa.String(64)),
    ("subject", sa.String(512)),
    ("created_at", sa.Float),
)


def upgrade() -> None:
    _make(
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("team", sa.Text, nullable=False),
    )


def downgrade() -> None:
    _make()


def _make(*whose: sa.Column[str]) -> None:
    op.drop_table("genops_idempotency")
    op.create_table(
        "genops_idempotency",
        *whose,
        sa.Column("key", sa.String(128), primary_key=True),
        *(sa.Column(name, kind, nullable=False) for name, kind in _REST),
    )
