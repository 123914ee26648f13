"""Ask MLflow whose login it sees."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.gates.models import Approver

_PATH = "/api/2.0/mlflow/users/current"
_TIMEOUT_S = 20.0


class _User(msgspec.Struct):
    username: str


class _Answer(msgspec.Struct):
    user: _User


def login(client: Any) -> list[Approver]:
    """Return the user whom the MLflow server authenticated; none for an MLflow without users, and a file. Blocks.

    The name is the server's answer to the credentials of this process (MLFLOW_TRACKING_USERNAME and _PASSWORD), so
    nobody can give another one.
    """
    from mlflow.utils import rest_utils

    store = client._tracking_client.store
    if not hasattr(store, "get_host_creds"):
        return []
    http: Any = rest_utils
    response = http.http_request(
        host_creds=store.get_host_creds(), endpoint=_PATH, method="GET", timeout=_TIMEOUT_S, max_retries=1,
        raise_on_status=False,
    )  # fmt: skip
    if response.status_code != 200:
        return []
    try:
        found = msgspec.json.decode(response.content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [Approver(name=found.user.username, how="MLflow login")] if found.user.username else []
