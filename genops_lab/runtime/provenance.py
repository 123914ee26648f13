"""Keep the source of a run: cells, git commit, uncommitted changes, environment and machine.

A thread gathers it, so that the cell starts at once. Secrets are removed before anything is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from ..redaction.secret_names import current_values
from ..redaction.texts import Counts, Redactor, added, marks_in
from .artifacts import CELLS, FOLDER, INSTALLED, PATCH, RECORD, SCRIPT, of_session
from .cells import Cell, executed_cells, kept_cells, script_cells
from .display import shell
from .environment import as_requirements, installed, lock_file, site_folders
from .errors import GenOpsError
from .gate_file import gate_tags
from .git_state import Patch, all_counts, git_tags, redacted_again, remote_url, top_of, uncommitted
from .paths import is_remote, kernelspec_name, script_path
from .source import simple_params
from .system import nvml_text, visible_by_nvml, visible_by_program

if TYPE_CHECKING:
    from .run import Run

OFF_VARIABLE = "GENOPS_NO_SOURCE"
RECORD_VERSION = 1
#: Seconds that a run's end waits for the thread.
WAIT_S = 10.0


def secret_values_now() -> List[str]:
    """Return the present values of secret-named variables, the longest first."""
    session = shell()
    return current_values(vars(sys.modules["__main__"]) if session is None else session.user_ns)


def redactor_now() -> Redactor:
    """Return a redactor that knows the present values of secret-named variables."""
    return Redactor(secret_values_now())


class ProvenanceKeeper:
    """Gathers the source of one run. With ``source=False``, or GENOPS_NO_SOURCE set, only the commit's tags."""

    def __init__(self, run: Run, source: bool = True) -> None:
        self._run = run
        self._source = source and not os.environ.get(OFF_VARIABLE)
        self._folder = os.getcwd()
        self._script = "" if shell() is not None else script_path()
        self._shown_cells = ""
        self._patch: Optional[Patch] = None
        self._record: Dict[str, Any] = {}
        # A session that continues a run does not keep again what the run already has of this kernel's
        # session.
        before = run.before
        self._kept_before = 0 if before is None else before.kept_cells
        # The cells up to now: more may come while the thread starts.
        self._cells: List[Cell] = self._cells_now() if self._source else []
        if self._script:
            for cell in self._cells:
                simple_params(cell.source, {})  # remembers the values of secret names
        self._redactor = redactor_now()
        self._thread = threading.Thread(
            target=self._guarded, args=(self._gather,), name="genops-keeper", daemon=True
        )
        self._thread.start()

    def finish(self) -> None:
        """Wait for the thread and keep the cells that ran since the start; call it before the run ends."""
        self._thread.join(WAIT_S)
        if self._source and not self._thread.is_alive():
            self._guarded(self._keep_again)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # the boundary: a failure here must not cost the training
            if not (self._run.ended and isinstance(error, GenOpsError)):  # it came too late
                print(f"GenOps: part of the run's source could not be kept: {error!r}", file=sys.stderr)

    def _cells_now(self) -> List[Cell]:
        session = shell()
        if session is None:
            return script_cells(self._script)
        if not hasattr(session, "history_manager"):
            return []
        return [cell for cell in executed_cells(session) if (cell.execution_count or 0) > self._kept_before]

    def _gather(self) -> None:
        redacted = self._log_cells(self._cells)
        tags = git_tags(self._folder)
        top = top_of(self._folder) if tags else ""
        tags_now = {**tags, **gate_tags(self._folder, top)}
        if tags_now:
            self._run.tag(tags_now)
        if not self._source:
            return
        git, of_patch = self._kept_git(tags, top)
        environment, of_lock = self._kept_environment(top)
        redacted = added(added(redacted, of_patch), of_lock)
        self._record = {
            "version": RECORD_VERSION,
            "recorded_at": time.time(),
            "script": self._script,
            "git": git,
            "environment": environment,
            **_machine(),
            "gpus": gpu_models(),
            "redacted": redacted,
        }
        self._log_record()

    def _log_record(self) -> None:
        text = json.dumps(_each_text(self._record, self._redactor.redact), indent=1, ensure_ascii=False)
        self._text(text, RECORD)

    def _text(self, text: str, path: str) -> None:
        self._run.log_text(text, of_session(path, self._run.session))

    def _log_cells(self, cells: List[Cell]) -> Counts:
        if not cells:
            return {}
        self._run.kept_cells = cells[-1].execution_count or 0
        kept = kept_cells(cells, self._redactor)
        if kept.as_json != self._shown_cells:
            self._shown_cells = kept.as_json
            self._text(kept.as_json, CELLS)
            self._text(kept.as_script, SCRIPT)
        return kept.redacted

    def _keep_again(self) -> None:
        """Keep the cells that ran since the start; redact cells and patch with the secrets known by now."""
        self._redactor = redactor_now()
        self._log_cells(
            self._cells if shell() is None else self._cells_now()
        )  # a script's file may have changed
        before = self._patch
        if before is None:
            return
        self._patch = redacted_again(before, self._redactor)
        if self._patch.text != before.text:
            self._text(self._patch.text, PATCH)
            more = {
                kind: count - all_counts(before).get(kind, 0)
                for kind, count in all_counts(self._patch).items()
            }
            self._record["git"]["patch"]["redacted"] = self._patch.redacted
            self._record["redacted"] = added(self._record["redacted"], more)
            self._log_record()

    def _kept_git(self, tags: Dict[str, str], top: str) -> "tuple[Optional[Dict[str, Any]], Counts]":
        if not tags:
            return None, {}
        branch = tags.get("mlflow.source.git.branch", "")
        git: Dict[str, Any] = {
            "commit": tags["mlflow.source.git.commit"],
            "branch": branch,
            "remote": remote_url(self._folder, branch),
            "dirty": tags.get("mlflow.source.git.dirty") == "true",
            "folder": os.path.relpath(os.path.realpath(self._folder), os.path.realpath(top)) if top else "",
        }
        patch = uncommitted(top, self._redactor) if top else None
        if patch is None:
            git["patch"] = None  # git did not answer in time
            return git, {}
        if patch.text:
            self._text(patch.text, PATCH)
            self._patch = patch
        git["patch"] = {
            "files": patch.files,
            "left_out": [left._asdict() for left in patch.left_out],
            "redacted": patch.redacted,
        }
        return git, all_counts(patch)

    def _kept_environment(self, top: str) -> "tuple[Dict[str, Any], Counts]":
        folders = site_folders()
        packages = installed(folders)
        self._text(self._redactor.redact(as_requirements(packages)), INSTALLED)
        found = lock_file(self._folder, top)
        lock: Optional[Dict[str, Any]] = None
        counts: Counts = {}
        if found is not None:
            lock = {"name": found.name, "sha256": found.sha256, "kept": found.content is not None}
            if found.content is not None:
                text = self._redactor.redact(found.content)
                if text != found.content:
                    counts = marks_in(text)
                    # The digest of a text with a secret would help to guess the secret.
                    lock["sha256"] = hashlib.sha256(text.encode()).hexdigest()
                    lock["redacted"] = counts
                self._text(text, FOLDER + found.name)
        return {
            "python": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
            "folders": folders,
            "packages": len(packages),
            "lock_file": lock,
        }, counts


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _machine() -> Dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "kernel": {
            "id": os.environ.get("GENOPS_KERNEL_ID", ""),
            "name": kernelspec_name(),
            "remote": is_remote(),
        },
    }


def gpu_models() -> List[Dict[str, str]]:
    """Return ``[{index, name, driver}]``; empty without a GPU that NVIDIA's tools know."""
    try:
        return _by_nvml()
    except ImportError:
        pass
    except Exception:  # NVML's errors share no base with ours; a missing driver is a normal state
        return []
    try:
        return _by_program()
    except (OSError, ValueError, subprocess.SubprocessError):
        return []


def _by_nvml() -> List[Dict[str, str]]:
    nvml, handles = visible_by_nvml()
    driver = nvml_text(nvml.nvmlSystemGetDriverVersion())
    return [
        {"index": index, "name": nvml_text(nvml.nvmlDeviceGetName(handle)), "driver": driver}
        for index, handle in handles
    ]


def _by_program() -> List[Dict[str, str]]:
    return [
        {"index": index, "name": name, "driver": driver}
        for index, name, driver in visible_by_program("name", "driver_version")
    ]
