"""What a person chose for a kernel on a target: its restarts see the same GPUs, whichever Lab does them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("remote_kernels", sa.Column("chosen", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("remote_kernels", "chosen")
