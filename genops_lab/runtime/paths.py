"""Find Jupyter's and GenOps Lab's folders without jupyter_core, which a script's environment may lack."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, Dict, Optional

from .display import shell
from .errors import GenOpsError

REMOTE_VARIABLE = "GENOPS_REMOTE"


def _jupyter_data_dir() -> Path:
    if os.environ.get("JUPYTER_DATA_DIR"):
        return Path(os.environ["JUPYTER_DATA_DIR"])
    try:
        from jupyter_core.paths import jupyter_data_dir

        return Path(jupyter_data_dir())
    except ImportError:
        pass
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Jupyter"
    if os.name == "nt":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "jupyter"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "jupyter"


def jupyter_runtime_dir() -> Path:
    """Return the folder in which running Labs leave their descriptions."""
    if os.environ.get("JUPYTER_RUNTIME_DIR"):
        return Path(os.environ["JUPYTER_RUNTIME_DIR"])
    return _jupyter_data_dir() / "runtime"


def data_dir() -> Path:
    """Return GenOps Lab's data folder: ``GENOPS_DATA_DIR``, else ``genops`` in Jupyter's data folder."""
    given = os.environ.get("GENOPS_DATA_DIR")
    return Path(given) if given else _jupyter_data_dir() / "genops"


def private_dir(*parts: str) -> Path:
    """Return a private folder (0700) below the data folder; make it if it is missing. Raises GenOpsError."""
    path = data_dir().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid"):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid():
            raise GenOpsError(
                f"{path} is not a folder that only you own.",
                "Remove it, or set GENOPS_DATA_DIR to a folder of yours.",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    return path


def is_remote() -> bool:
    """Return whether GenOps Lab's agent started this kernel, on a host other than the Lab's.

    Only the agent then reaches the Lab, and the Lab cannot open files of this host.
    """
    return bool(os.environ.get(REMOTE_VARIABLE))


def notebook_path() -> str:
    """Return the path of this kernel's notebook as Jupyter, the Lab or VS Code gives it; empty without one."""
    for variable in ("JPY_SESSION_NAME", "GENOPS_NOTEBOOK"):
        if os.environ.get(variable):
            return os.environ[variable]
    namespace = getattr(shell(), "user_ns", {})
    return str(namespace.get("__vsc_ipynb_file__", ""))


def kernelspec_name() -> str:
    """Return the name of this kernel's kernelspec, from the Lab or the connection file; else empty."""
    given = os.environ.get("GENOPS_KERNELSPEC")
    if given:
        return given
    app = getattr(getattr(shell(), "kernel", None), "parent", None)
    try:
        with open(app.abs_connection_file, encoding="utf-8") as stream:  # type: ignore[union-attr]
            return str(json.load(stream).get("kernel_name") or "")
    except (AttributeError, OSError, ValueError, TypeError):
        return ""


def script_path() -> str:
    """Return the running script; empty in a notebook or at a prompt."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None) if main is not None else None
    if not path or "ipykernel" in os.path.basename(path) or notebook_path():
        return ""
    return os.path.abspath(str(path))


def this_process() -> Dict[str, Any]:
    """Return this process's pid and start time, and its kernel and notebook if it has them."""
    return {
        "pid": os.getpid(),
        "created": process_created(),
        "kernel_id": os.environ.get("GENOPS_KERNEL_ID", ""),
        "notebook": notebook_path(),
    }


def process_created() -> Optional[float]:
    """Return when this process started, in seconds since 1970; None if unknown (Linux or psutil is needed)."""
    try:
        with open("/proc/self/stat", "rb") as stream:
            ticks = int(stream.read().rpartition(b")")[2].split()[19])
        with open("/proc/stat", "rb") as stream:
            boot = next(float(line.split()[1]) for line in stream if line.startswith(b"btime"))
        return boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        pass
    try:
        import psutil

        return float(psutil.Process().create_time())
    except (ImportError, OSError):
        return None
