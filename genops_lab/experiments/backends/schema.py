"""Whether an MLflow database has the schema of the MLflow that is installed here (in the worker process).

MLflow migrates a database of an older version when it opens it, without a copy, and the older MLflow cannot open it
any more. GenOps Lab migrates its own embedded file alone (:mod:`.embedded`); what others made is refused here.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Unavailable

_DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")


def refuse_other_schema(tracking_uri: str) -> None:
    """Raise Unavailable where opening the database would migrate it, or where a newer MLflow made it.

    Reads one row. A server's address, a folder and a file that is still empty pass.
    """
    if not tracking_uri.startswith(_DATABASES):
        return
    from sqlalchemy.engine import make_url

    url = make_url(tracking_uri)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).exists()):
        return
    found = _revision_of(tracking_uri)
    if found is None:
        return
    known = _known_revisions()
    if found == known[0]:
        return
    shown = url.set(username=None, password=None, query={}).render_as_string()
    if found not in known:
        raise Unavailable(
            f"The MLflow database {shown} was made by a newer MLflow than {version('mlflow')}: "
            f"its schema {found} is not known here.",
            code="newer_schema",
            hint="Upgrade mlflow in the environment of JupyterLab.",
        )
    raise Unavailable(
        f"The MLflow database {shown} was made by an older MLflow than {version('mlflow')} (schema {found}). "
        "Opening it would change it for good, and the older MLflow could not open it any more.",
        code="older_schema",
        hint="Run `mlflow server` of the older version on it and set MLFLOW_TRACKING_URI to that server's address, "
        f"or copy the database and then run `mlflow db upgrade {shown}`.",
    )


def _revision_of(tracking_uri: str) -> str | None:
    """The schema's revision; empty before MLflow numbered them, None where MLflow has no tables yet."""
    from alembic.runtime.migration import MigrationContext
    from mlflow.store.db.utils import create_sqlalchemy_engine_with_retry
    from sqlalchemy import inspect

    engine = create_sqlalchemy_engine_with_retry(tracking_uri)  # type: ignore[no-untyped-call]
    try:
        with engine.connect() as connection:
            revision: str | None = MigrationContext.configure(connection).get_current_revision()
            return revision or ("" if inspect(connection).has_table("experiments") else None)
    finally:
        engine.dispose()


@functools.cache
def _known_revisions() -> list[str]:
    """The revisions of the MLflow that is installed here, the newest first; the oldest is unnumbered ('')."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    mlflow: Any = utils
    scripts = ScriptDirectory.from_config(mlflow._get_alembic_config(db_url=""))
    return [*(each.revision for each in scripts.walk_revisions()), ""]
