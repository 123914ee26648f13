"""Compose a kernel's environment: the host's login environment and the Lab's variables, never one that could
act for the user elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Dict, Mapping

from .paths import private_folder

_NEVER = ("JUPYTERHUB_", "JPY_")
_KERNEL_SIDE = ("genops_lab/kernel/", "genops_lab/redaction/", "genops_lab/runtime/")
_NEVER_NAMES = {"SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"}


def container() -> str:
    """Return what this agent was imported from: the zip, or the folder that contains ``genops_lab``."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def is_zip() -> bool:
    """Return whether the agent runs from the uploaded zip."""
    return os.path.isfile(container())


def allowed(name: str) -> bool:
    """Return whether a kernel's environment may have a variable."""
    return not name.upper().startswith(_NEVER) and name not in _NEVER_NAMES


def kernel_environment(given: Mapping[str, str], site: str, login: Mapping[str, str]) -> Dict[str, str]:
    """Return ``given`` on top of ``login``, with the kernel side (``site``) first on Python's path."""
    found = {name: value for name, value in {**login, **given}.items() if allowed(name)}
    if site:
        paths = [site, *filter(None, found.get("PYTHONPATH", "").split(os.pathsep))]
        found["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return found


def kernel_site(state: str) -> str:
    """Return the folder for a kernel's Python path. From a zip it is unpacked once below ``state``. Raises
    OSError."""
    if not is_zip():
        return os.path.join(container(), "genops_lab", "kernel", "site")
    import zipfile

    with zipfile.ZipFile(container()) as archive:
        members = [item for item in archive.infolist() if item.filename.startswith(_KERNEL_SIDE)]
        digest = hashlib.sha256()
        for item in members:
            digest.update(f"{item.filename} {item.CRC:08x} {item.file_size}\n".encode())
        root = private_folder(os.path.join(state, "site"))
        folder = os.path.join(root, digest.hexdigest()[:24])
        if not os.path.isdir(folder):
            part = private_folder(f"{folder}.{os.getpid()}")
            for item in members:
                archive.extract(item, part)
            try:
                os.rename(part, folder)
            except OSError:  # another connection was quicker
                if not os.path.isdir(folder):
                    raise
                shutil.rmtree(part)
    return os.path.join(folder, "genops_lab", "kernel", "site")
