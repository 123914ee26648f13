"""Give a kernel on this host the way to its Lab, and a folder where its runs wait for the Lab.

The folder of its runs (``<state>/lab/<kernel id>``) is separate from its keeper's: a kernel's logged events
outlive its restart.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Dict, List, Optional

from . import paths
from .channels import ChannelReset

SOCKET = "lab.sock"
#: Below a kernel's folder: a folder for each of its traces
#: (:func:`genops_lab.runtime.profiling.upload.new_folder`).
_TRACES, _TRACE_FOLDER = "profiles", re.compile(r"[0-9a-f]{32}\Z")


def known_lab_folder(kernel_id: str) -> Optional[str]:
    """Return the folder in which a kernel's runs wait for the Lab, or None. Raises OSError."""
    for state in paths.candidates():
        folder = os.path.join(state, "lab", kernel_id)
        if os.path.isdir(folder) and not os.path.islink(folder):
            paths.check_own(folder)
            return folder
    return None


def known_lab_kernels() -> List[str]:
    """Return the kernels that have such a folder."""
    found: List[str] = []
    for state in paths.candidates():
        try:
            found += filter(paths.unit_id_is_valid, os.listdir(os.path.join(state, "lab")))
        except OSError:
            continue
    return found


def lab_folder(kernel_id: str) -> str:
    """Return the folder of a kernel's runs, which is made where missing. Raises OSError."""
    known = known_lab_folder(kernel_id)
    if known is not None:
        return known
    state, _ = paths.state_folder()
    return paths.private_folder(os.path.join(paths.private_folder(os.path.join(state, "lab")), kernel_id))


def remove_trace(path: str) -> None:
    """Remove a trace that a kernel wrote for the Lab, with its folder; do nothing for a removed one. Raises
    OSError, and ChannelReset for any other path."""
    folder = os.path.realpath(os.path.dirname(path))
    lab, name = os.path.split(os.path.dirname(folder))
    roots = [os.path.realpath(os.path.join(state, "lab")) for state in paths.candidates()]
    ours = (
        os.path.dirname(lab) in roots
        and paths.unit_id_is_valid(os.path.basename(lab))
        and name == _TRACES
        and _TRACE_FOLDER.match(os.path.basename(folder))
    )
    if not ours:
        raise ChannelReset(
            "not_ours", f"{path} was not written by a kernel of GenOps Lab.", "Remove it on the host."
        )
    if os.path.lexists(folder):
        paths.check_own(folder)
        shutil.rmtree(folder)


def lab_environment(kernel_id: str, notebook: str) -> Dict[str, str]:
    """Return the variables that lead the kernel side to the Lab, and its runs to their folder. Raises
    OSError."""
    folder = lab_folder(kernel_id)
    return {
        "GENOPS_SOCKET": socket_path(folder),
        "GENOPS_KERNEL_ID": kernel_id,
        "GENOPS_DATA_DIR": folder,
        "GENOPS_REMOTE": "1",
        "GENOPS_NOTEBOOK": notebook,
    }


def socket_path(folder: str) -> str:
    """Return the path of the Lab's socket for the kernel whose runs wait in ``folder``. Raises OSError."""
    return os.path.join(paths.socket_folder(folder), SOCKET)
