"""Open MLflow's client in the worker process, and turn its errors into ours.

MLflow migrates a database of an older version when it opens it, without a copy, and the older MLflow cannot
open it any more. GenOps Lab migrates only its own embedded file (:mod:`.embedded`). Databases of others are
refused here.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import (
    Conflict,
    Failed,
    GenOpsError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Unavailable,
)
from genops_lab.core.paging import PageQuery

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ADDRESS = re.compile(r"HTTPS?ConnectionPool\(host='(?P<host>[^']+)', port=(?P<port>\d+)")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_UNKNOWN = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_INVALID = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST", "INVALID_STATE"}
_EXISTS = {"RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT", "ALREADY_EXISTS"}
_FORBIDDEN = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}
_DISK = ("disk is full", "disk I/O error", "No space left", "readonly database")
_LOCKED = "database is locked"
_CORRUPT = ("file is not a database", "malformed")
_DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")
PAGE = 1000
_RUNS_KNOWN = 1000
#: MLflow's code for an endpoint that the server lacks, such as logged models before MLflow 3.
NO_SUCH_ENDPOINT = "ENDPOINT_NOT_FOUND"
#: Our code for an MLflow server that did not answer in time: it may still carry the request out.
SLOW = "slow"


@functools.cache
def open_client(tracking_uri: str) -> MlflowClient:
    """Open the client of this MLflow, one for all backends of a process.

    Raises InvalidRequest, and Unavailable also for a database that MLflow would migrate.
    """
    import mlflow.store.db.utils

    # A database server that is down must be noticed in seconds; the default waits for over a minute.
    mlflow.store.db.utils.MAX_RETRY_COUNT = 3
    with mlflow_errors("MLflow could not be opened"):
        refuse_other_schema(tracking_uri)
        return _client_class()(tracking_uri=tracking_uri)


@functools.cache
def _client_class() -> type[MlflowClient]:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

    class Client(MlflowClient):
        """MLflow's client that remembers where a run's files are, and lists only those.

        MLflow's own client reads the run again for each folder and file, and asks for logged models beside a
        folder. Servers of MLflow 2 do not know logged models.
        """

        def __init__(self, tracking_uri: str) -> None:
            super().__init__(tracking_uri=tracking_uri)
            self._locations: dict[str, str] = {}

        def get_run(self, run_id: str) -> Any:
            run = super().get_run(run_id)
            if len(self._locations) >= _RUNS_KNOWN:
                self._locations.clear()
            self._locations[run_id] = run.info.artifact_uri
            return run

        def list_artifacts(self, run_id: str, path: str | None = None) -> list[Any]:
            return list(self._files_of(run_id).list_artifacts(path))

        def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
            return str(self._files_of(run_id).download_artifacts(path, dst_path))

        def _files_of(self, run_id: str) -> Any:
            uri = self._locations.get(run_id) or self.get_run(run_id).info.artifact_uri
            uri = add_databricks_profile_info_to_artifact_uri(uri, self.tracking_uri)  # type: ignore[no-untyped-call]
            return get_artifact_repository(uri, tracking_uri=self.tracking_uri)

    return Client


class MlflowBackend:
    """One MLflow in the worker process: its client, and the folder for temporary files. All methods block."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **_others: Any) -> None:
        self._client = open_client(tracking_uri)
        self._scratch = scratch


def refuse_other_schema(tracking_uri: str) -> None:
    """Raise Unavailable if opening the database would migrate it, or if a newer MLflow made it.

    Reads one row. A server's address, a folder and an empty file pass.
    """
    if not tracking_uri.startswith(_DATABASES):
        return
    from importlib.metadata import version  # 9 ms, and the process of the runs needs only `quoted`

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
            f"its schema {found} is unknown here.",
            code="newer_schema",
            hint="Upgrade mlflow in the environment of JupyterLab.",
        )
    raise Unavailable(
        f"The MLflow database {shown} was made by an older MLflow than {version('mlflow')} (schema {found}). "
        "Opening it would upgrade it, and the older MLflow could not open it any more.",
        code="older_schema",
        hint="Run `mlflow server` of the older version on the database and set MLFLOW_TRACKING_URI to that server's "
        f"address, or copy the database and then run `mlflow db upgrade {shown}`.",
    )


def _revision_of(tracking_uri: str) -> str | None:
    """Return the schema's revision; empty before MLflow numbered them, None if MLflow has no tables yet."""
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
    """Return the revisions of the installed MLflow, the newest first; the oldest is unnumbered ('')."""
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils

    mlflow: Any = utils
    scripts = ScriptDirectory.from_config(mlflow._get_alembic_config(db_url=""))
    return [*(each.revision for each in scripts.walk_revisions()), ""]


@contextlib.contextmanager
def mlflow_errors(what: str) -> Iterator[None]:
    """Turn errors of MLflow, its database and its disk into ours; ``what`` says what failed."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        raise _ours(what, str(error.message), error.error_code) from error
    except SQLAlchemyError as error:
        raise _ours(what, str(error), "TEMPORARILY_UNAVAILABLE") from error
    except ImportError as error:  # a store or an artifact repository that needs a driver
        raise Failed(
            f"{what}: {error}.",
            hint="Install the package that the message names into the environment of GenOps Lab.",
        ) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Unavailable(
            f"{what}: {error.strerror or error}.",
            hint="Free some disk space, then try again."
            if full
            else "Check that MLflow's files can be read and written.",
        ) from error


def _ours(what: str, detail: str, code: str) -> GenOpsError:
    """Return our error. Its detail ``reason`` is the message without ``what``, for a view that says that itself."""
    first = (detail.strip().splitlines() or ["no reason given"])[0]
    slow = "read timed out" in first.lower()
    if address := _ADDRESS.search(first):
        verb = "answers too slowly" if slow else "does not answer"
        first = f"the MLflow server at {address['host']}:{address['port']} {verb}."
    if _LOCKED in first:
        first = "another process writes to MLflow's database, and the database is locked."
    first = _CREDENTIALS.sub("//", first)[:500]
    first += "" if first.endswith((".", "!", "?", ":")) else "."
    error = _kind(f"{what}: {first}", detail, code, slow=slow)
    error.details = {**error.details, "reason": first[:1].upper() + first[1:]}
    return error


def _kind(message: str, detail: str, code: str, *, slow: bool) -> GenOpsError:
    if any(sign in detail for sign in _CORRUPT):
        return Unavailable(
            message,
            hint="MLflow's database file is damaged: move it away (keep it), or restore a copy of it.",
        )
    if _LOCKED in detail:
        return Unavailable(message, hint="Try again. If this goes on, stop the other process.")
    if any(sign in detail for sign in _DISK):
        return Unavailable(message, hint="Free disk space, and check that the folder can be written.")
    if code in _UNKNOWN:
        return NotFound(
            message, hint="It may have been deleted. List what exists, such as with `genops runs list`."
        )
    if code in _INVALID:
        return InvalidRequest(message, hint="Correct what the message names, then try again.")
    if code in _EXISTS:
        return Conflict(message, hint="Choose another name.")
    if code in _FORBIDDEN:
        return NotAllowed(
            message,
            hint="Check MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.",
        )
    if code == NO_SUCH_ENDPOINT:
        return Unavailable(message, hint="Check that this is the address of an MLflow server.")
    return Unavailable(
        message,
        hint="Check that MLflow runs and that its address is right. GenOps Lab tries again by itself.",
        code=SLOW if slow else None,
    )


def all_pages(search: Callable[..., Any], **arguments: Any) -> list[Any]:
    """Return all results of one of MLflow's paged searches."""
    found: list[Any] = []
    token = None
    while True:
        page = search(max_results=PAGE, page_token=token, **arguments)
        found.extend(page)
        token = page.token
        if not token:
            return found


def one_page(search: Callable[..., Any], query: PageQuery, **arguments: Any) -> tuple[list[Any], str]:
    """Return a page of one of MLflow's searches, and MLflow's token for the next one. Raises InvalidRequest."""
    from mlflow.exceptions import MlflowException

    try:
        page = search(max_results=query.limit, page_token=query.after or None, **arguments)
    except MlflowException as error:
        if query.after and "page token" in str(error.message).lower():
            raise query.bad_cursor() from error
        raise
    token = page.token or ""  # of a database: bytes, of a server: text
    return list(page), token.decode() if isinstance(token, bytes) else token


_IS_PROMPT = "mlflow.prompt.is_prompt"


def search_models(client: Any, **arguments: Any) -> Any:
    """Return a page of registered models, without prompts.

    MLflow's client asks for models whose tag is not that of prompts. A server before 2.21 answers with models
    that have the tag: none. A filter that names the tag is sent unchanged.
    """
    if not client.tracking_uri.startswith("databricks"):  # which takes no filter
        arguments["filter_string"] = f"name != '{_IS_PROMPT}'"
    page = client.search_registered_models(**arguments)
    page[:] = [model for model in page if model.tags.get(_IS_PROMPT) != "true"]
    return page


def quoted(text: str) -> str:
    """Return a string of MLflow's filter language, which has no escapes. Raises InvalidRequest."""
    if "'" in text and '"' in text:
        raise InvalidRequest(f"{text[:60]!r} has both kinds of quotes.", hint="Use a name without quotes.")
    return f'"{text}"' if "'" in text else f"'{text}'"


def experiment_named(client: Any, name: str) -> tuple[str, bool]:
    """Return the id of an experiment, and whether it was deleted and is restored now. It is made where it is missing,
    also while another process makes it. Raises MLflow's errors."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name)), False
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    deleted = found.lifecycle_stage == "deleted"
    if deleted:
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id), deleted
