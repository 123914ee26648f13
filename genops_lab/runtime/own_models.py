"""Compute digests of the models that this process logs, while it logs them.

The Lab loads a model without a question only if its files are those that a process of this user wrote. The
files in MLflow prove nothing: anyone who can write to it may have put them there.

So this module wraps mlflow's ``Model.log``, which all flavors and autologging call (MLflow 2 and 3), and
reads the folder that it uploads. mlflow is never imported for it. Subprocesses and other MLflow clients are
not covered.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from typing import Any, Callable, Dict, List, Optional

from . import lab
from .errors import GenOpsError, LabAway
from .imports import when_imported
from .model_files import digest_of
from .paths import is_remote
from .state import runs

_MODULE = "mlflow.models.model"
_CLIENT = "mlflow.tracking.client"
_UPLOADS = ("log_artifacts", "log_model_artifacts")
_TIMEOUT_S = 10.0
_HEARD = "_genops_heard"

#: ``uploads``: the folders that ``Model.log`` has uploaded in this thread
_logging = threading.local()
_followed_in = 0


def follow() -> None:
    """Wrap mlflow's ``Model.log`` when mlflow is imported. Digests from other hosts do not count, so none are
    made there.
    """
    global _followed_in
    if not _followed_in and not is_remote():
        _followed_in = os.getpid()
        when_imported(_MODULE, _attach)


def _attach(module: Any) -> None:
    model = getattr(module, "Model", None)
    original = getattr(vars(model).get("log"), "__func__", None) if model is not None else None
    if original is None:
        return

    @functools.wraps(original)
    def log(cls: Any, *arguments: Any, **options: Any) -> Any:
        if os.getpid() != _followed_in:  # a fork
            return original(cls, *arguments, **options)
        _hear_uploads()
        outer: Optional[List[_Digest]] = getattr(_logging, "uploads", None)
        uploads: List[_Digest] = []
        _logging.uploads = uploads
        try:
            info = original(cls, *arguments, **options)
        finally:
            _logging.uploads = outer
        for upload in uploads:
            _tell(upload, info)
        return info

    model.log = classmethod(log)  # type: ignore[union-attr]


def _hear_uploads() -> None:
    client = importlib.import_module(_CLIENT).MlflowClient  # mlflow is there: its Model logs
    for name in _UPLOADS:
        original = getattr(client, name, None)
        if original is not None and not hasattr(original, _HEARD):
            heard = _heard(original)
            setattr(heard, _HEARD, True)
            setattr(client, name, heard)


def _heard(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def upload(self: Any, owner: Any, local_dir: Any, *arguments: Any, **options: Any) -> Any:
        uploads = getattr(_logging, "uploads", None)
        if uploads is None or not os.path.isfile(os.path.join(local_dir, "MLmodel")):
            return original(self, owner, local_dir, *arguments, **options)
        digest = _Digest(str(local_dir))
        try:
            answer = original(self, owner, local_dir, *arguments, **options)
        finally:
            digest.join()  # the folder is deleted soon
        uploads.append(digest)
        return answer

    return upload


class _Digest(threading.Thread):
    """Reads a folder while it is uploaded; ``value`` stays empty if that fails."""

    def __init__(self, folder: str) -> None:
        super().__init__(name="genops-model-digest", daemon=True)
        self._folder = folder
        self.value = ""
        self.start()

    def run(self) -> None:
        try:
            self.value = digest_of(self._folder)
        except (OSError, ValueError) as error:
            print(
                "GenOps: a deployment of this model will ask you first, because its files cannot be read: "
                f"{error}",
                file=sys.stderr,
            )


def _tell(digest: _Digest, info: Any) -> None:
    if not digest.value:
        return
    name = getattr(info, "name", None) or str(getattr(info, "artifact_path", "")).rpartition("/")[2]
    model: Dict[str, str] = {
        "name": str(name or "model"),
        "digest": digest.value,
        "run_id": str(getattr(info, "run_id", None) or ""),
    }
    try:
        current = runs.current
        if current is not None:
            current.own_model(model)
        else:
            lab.call("POST", "/tracking/models", model, timeout_s=_TIMEOUT_S)
    except LabAway:
        return  # a script without a Lab
    except GenOpsError as error:
        print(
            f"GenOps: a deployment of the model {model['name']!r} will ask you first: {error}",
            file=sys.stderr,
        )
