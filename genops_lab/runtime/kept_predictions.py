"""Keep predictions of a kernel on a host on its disk until the Lab has them.

``<key>.predictions`` in the folder of the spools says whose they are and what is asked of the Lab. It is written last,
beside the values in ``<key>.values``. The Lab keeps one evaluation for a key, however often it is sent. :mod:`.drain`
sends those of ended processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any, Dict, Optional

from . import lab
from .errors import FileLost, LabAway, Refused
from .paths import private_dir, this_process

SUFFIX, VALUES = ".predictions", ".values"
TIMEOUT_S = 600.0
_PAUSES_S = (1.0, 2.0, 5.0)
#: Answers of a Lab that may take the same later: a full disk, or an MLflow that is down.
_LATER = (429, 502, 503, 504)


def write(key: str, asked: Dict[str, Any], content: Dict[str, Any]) -> str:
    """Write the predictions and return the path of their file. Raises GenOpsError, OSError."""
    path = str(private_dir("spool") / (key + SUFFIX))
    header = {"process": this_process(), "asked": asked}
    for name, value in ((_values(path), content), (path, header)):
        with open(os.open(f"{name}.part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(value, stream)
            stream.write("\n")
        os.replace(f"{name}.part", name)
    return path


def send(path: str) -> Dict[str, Any]:
    """Send the predictions, delete them here, and return the Lab's report. Raises LabAway, Refused, FileLost."""
    try:
        with open(path, encoding="utf-8") as stream:
            asked = json.load(stream)["asked"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileLost(f"The predictions {path} cannot be read: {error}.", "Log them again.") from error
    ticket = lab.upload_file(_values(path), "predictions")
    body = {**asked, "path": ticket}
    report: Dict[str, Any] = lab.call("POST", "/v1/evaluations/predictions", body, timeout_s=TIMEOUT_S)
    remove(path)
    return report


def may_take_later(error: BaseException) -> bool:
    """Return whether the Lab may take the same predictions later."""
    return isinstance(error, LabAway) or (isinstance(error, Refused) and error.status in _LATER)


def remove(path: str) -> None:
    """Delete the predictions of this file."""
    for name in (path, _values(path)):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def send_later(path: str) -> threading.Thread:
    """Send the predictions in a thread once the Lab is back; say on standard error if the Lab refuses them."""
    thread = threading.Thread(target=_send_later, args=(path,), name="genops-predictions", daemon=True)
    thread.start()
    return thread


def _send_later(path: str) -> None:
    at = 0
    while os.path.exists(path):
        time.sleep(_PAUSES_S[min(at, len(_PAUSES_S) - 1)])
        at += 1
        reason = try_to_send(path)
        if reason is not None:
            if reason:
                print(f"genops.log_predictions: {reason}", file=sys.stderr)
            return


def try_to_send(path: str) -> Optional[str]:
    """Send; return empty if that worked, why the Lab refuses them for good, or None if it may take them later.

    Refused predictions are renamed to ``.broken``.
    """
    try:
        send(path)
    except (LabAway, Refused, FileLost) as error:
        if may_take_later(error):
            return None
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, os.path.splitext(path)[0] + ".broken")
        return str(error)
    return ""


def _values(path: str) -> str:
    return os.path.splitext(path)[0] + VALUES
