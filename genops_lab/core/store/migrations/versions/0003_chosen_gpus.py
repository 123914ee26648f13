"""Store the GPUs that a user chose for a kernel on a target, so that each restart sees the same GPUs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("remote_kernels", sa.Column("chosen", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("remote_kernels", "chosen")
