"""Which run of this user a model's files came from."""

from __future__ import annotations

from sqlalchemy import select

from genops_lab.core.store import LocalStore
from genops_lab.core.store.tables import model_hashes


def run_that_recorded(store: LocalStore, digest: str) -> str | None:
    """The id of the run that logged the files of this digest. Blocks."""
    with store.reading() as connection:
        found = connection.execute(
            select(model_hashes.c.run_id).where(model_hashes.c.digest == digest)
        ).scalar()
    return None if found is None else str(found)
