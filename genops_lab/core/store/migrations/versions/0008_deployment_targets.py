"""Remove process, port and folder from deployments: the target keeps them. Add the request."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_OF_THE_TARGET = (
    sa.Column("folder", sa.Text, nullable=False, server_default=""),
    sa.Column("port", sa.Integer, nullable=True),
    sa.Column("pid", sa.Integer, nullable=True),
    sa.Column("pid_created", sa.Float, nullable=True),
    sa.Column("outlives_server", sa.Integer, nullable=False, server_default="1"),
)
_ASKED = (
    sa.Column("target", sa.Text, nullable=False, server_default=""),
    sa.Column("spec", sa.Text, nullable=False, server_default="{}"),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
)


def upgrade() -> None:
    _exchange(_OF_THE_TARGET, _ASKED)


def downgrade() -> None:
    _exchange(_ASKED, _OF_THE_TARGET)


def _exchange(former: tuple[sa.Column[Any], ...], new: tuple[sa.Column[Any], ...]) -> None:
    with op.batch_alter_table("deployments") as table:
        for column in former:
            table.drop_column(column.name)
        for column in new:
            table.add_column(column._copy())
