"""Delete the digests of models that older versions took from MLflow at the end of a run.

A teammate or a target's host could have put such a model into MLflow. Users confirm these models once more.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("DELETE FROM model_hashes")


def downgrade() -> None:
    """Restore nothing: users confirm the models again."""
