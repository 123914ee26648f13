"""Digests of models that older versions took from what MLflow held at a run's end.

A teammate, or a target's host, could have put a model there. Models are confirmed once more in the deploy dialog.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("DELETE FROM model_hashes")


def downgrade() -> None:
    """What was forgotten is asked for again."""
