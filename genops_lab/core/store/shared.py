"""Open the store that a team may share: SQLite in the data folder, or PostgreSQL by ``GenOpsLab.store_url``."""

from __future__ import annotations

import getpass
import os
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ..errors import InvalidRequest
from .shared_tables import PREFIX, metadata
from .store import Schema, Store

_HINT = (
    "Set GenOpsLab.store_url to a URL such as postgresql://user@host/database or sqlite:////folder/shared.db"
)


class SharedStore(Store):
    """The data that others may read: the audit log, the specs of deployments, the history of aliases and the
    looks at data.

    The store is opened at its first use, because its server may not answer. Each row has ``owner`` and ``team``.
    """

    schema = Schema(metadata, Path(__file__).parent / "shared_migrations", "0004", PREFIX)
    title = "The shared GenOps store"
    newer_hint = "Upgrade genops-lab, or set GenOpsLab.store_url to another database."

    def __init__(self, url: str | URL, *, owner: str = "", team: str = "") -> None:
        try:
            parsed = make_url(url)
            backend = parsed.get_backend_name()
        except ArgumentError as error:
            raise InvalidRequest("GenOpsLab.store_url is no valid URL.", hint=_HINT) from error
        if backend not in ("sqlite", "postgresql") or not (parsed.database or backend == "postgresql"):
            raise InvalidRequest(
                f"GenOpsLab.store_url must be a PostgreSQL database or an SQLite file, and is {backend}.",
                hint=_HINT,
            )
        if parsed.drivername == "postgresql" and find_spec("psycopg") is not None:
            parsed = parsed.set(drivername="postgresql+psycopg")
        super().__init__(parsed)
        self.owner, self.team = owner or user_name(), team
        self.whose = {"owner": self.owner, "team": self.team}

    @staticmethod
    def at(url: str, data_dir: Path) -> SharedStore:
        """Return the store of ``GenOpsLab.store_url``; if it is empty, a file in the data folder."""
        return SharedStore(url or URL.create("sqlite", database=str(data_dir / "shared.db")))


def user_name() -> str:
    """Return the hub's user, or without a hub this machine's user."""
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else ""
