"""Call the running Lab from a kernel or a script: HTTP on its private unix socket."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import threading
from typing import IO, Any, Dict, List, Optional, Tuple
from urllib.parse import quote, urlencode

from .errors import FileLost, GenOpsError, LabAway, Refused
from .paths import is_remote, jupyter_runtime_dir

SOCKET_VARIABLE = "GENOPS_SOCKET"
#: Seconds without progress while a file is uploaded.
FILE_TIMEOUT_S = 300.0
_AWAY_HINT = "Start JupyterLab with GenOps Lab on this machine, as this user."
_REMOTE_HINT = "Connect the target in the GenOps panel."


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def sockets() -> List[str]:
    """Return the sockets to try: that of the Lab that started this kernel, then others, newest first.

    On a target's host there is one: another Lab on that host is not this kernel's.
    """
    given = os.environ.get(SOCKET_VARIABLE)
    if is_remote():
        return [given] if given else []
    described: List[Tuple[float, str]] = []
    for path in jupyter_runtime_dir().glob("genops-*.json"):
        try:
            description = json.loads(path.read_text(encoding="utf-8"))
            described.append((float(description["started_at"]), str(description["socket"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # half written, or of a Lab that is just closing
    found = [given] if given else []
    return found + [path for _, path in sorted(described, reverse=True) if path not in found]


def _open(timeout_s: float) -> _Connection:
    if not hasattr(socket, "AF_UNIX"):
        raise LabAway(
            "This platform has no unix sockets, so GenOps Lab cannot be reached.", "Use Linux, macOS or WSL."
        )
    for path in sockets():
        connection = _Connection(path, timeout_s)
        try:
            connection.connect()
        except OSError:
            connection.close()
            continue
        return connection
    if is_remote():
        raise LabAway("This host is not connected to its GenOps Lab.", _REMOTE_HINT)
    raise LabAway("No GenOps Lab is running.", _AWAY_HINT)


def wake() -> None:
    """Make the Lab start its MLflow worker, which takes seconds, before a cell waits for it."""

    def ask() -> None:
        try:
            call("POST", "/tracking/wake")
        except GenOpsError:
            return  # no Lab yet: the first cell that needs it says so

    threading.Thread(target=ask, name="genops-wake", daemon=True).start()


def call(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: Optional[dict] = None,  # type: ignore[type-arg]
    timeout_s: float = 60.0,
) -> Any:
    """Call an operation and return the decoded answer. Raises LabAway or Refused.

    ``path`` is the part after ``/genops``.
    """
    target = path + ("?" + urlencode(query) if query else "")
    payload = None if body is None else json.dumps(body).encode()
    return _ask(method, target, payload, {"Content-Type": "application/json"}, timeout_s)


def _ask(method: str, target: str, payload: Any, headers: Dict[str, str], timeout_s: float) -> Any:
    connection = _open(timeout_s)
    hint = _REMOTE_HINT if is_remote() else _AWAY_HINT
    try:
        connection.request(method, "/genops" + target, payload, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise LabAway(f"GenOps Lab did not answer: {error or type(error).__name__}.", hint) from error
    finally:
        connection.close()
    try:
        decoded = json.loads(content) if content else None
    except ValueError as error:
        raise LabAway("GenOps Lab's answer is incomplete.", hint) from error
    if answer.status >= 400:
        found = decoded.get("error") if isinstance(decoded, dict) else None
        info = found if isinstance(found, dict) else {}
        raise Refused(
            answer.status,
            str(info.get("message") or f"GenOps Lab answered HTTP {answer.status}."),
            str(info.get("hint") or ""),
            info.get("details") if isinstance(info.get("details"), dict) else None,
        )
    return decoded


def upload_file(path: str, kind: str) -> str:
    """Upload a file of this host to the Lab, as an "artifact" or a "trace"; return its ticket.

    Raises FileLost for a file that cannot be read, LabAway or Refused.
    """
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed below; only the opening is guarded
        found = os.fstat(stream.fileno())
    except OSError as error:
        raise FileLost(
            f"Cannot read {path}: {error.strerror}.", "Leave the file in place until the run has ended."
        ) from error
    with stream:
        if not stat.S_ISREG(found.st_mode):
            raise FileLost(f"{path} is not a plain file.", "Give the path of a file.")
        ticket = str(call("POST", "/tracking/files", {"kind": kind, "size": found.st_size})["ticket"])
        sent = _Exactly(stream, found.st_size)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(found.st_size)}
        _ask("PUT", "/tracking/files/" + segment(ticket), sent, headers, FILE_TIMEOUT_S)
    return ticket


class _Exactly:
    """Reads a file's first ``size`` bytes, even while the file grows."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, limit: int = -1) -> bytes:
        wanted = self._left if limit < 0 else min(limit, self._left)
        data = self._stream.read(wanted)
        if len(data) < wanted:
            raise OSError("the file became shorter while it was sent")
        self._left -= len(data)
        return data


def segment(name: str) -> str:
    """Quote a name as one segment of a path."""
    return quote(name, safe="")
