"""What a Lab orders of this host: a kernel's command, its environment, its folder."""

from __future__ import annotations

import base64
import json
import os
import sys
import uuid
import zlib
from typing import Any, Dict, List, Mapping, Tuple

from .channels import ChannelReset
from .idle_policy import policy_of
from .paths import kernel_id_is_valid


def packed(env: Mapping[str, str]) -> str:
    """An environment as ``whole_env`` carries it: a call's parameters have one frame, large environments more."""
    return base64.b64encode(zlib.compress(json.dumps(dict(env)).encode(), 9)).decode()


def _unpacked(text: str) -> Dict[str, str]:
    found: Dict[str, str] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


def order_of(params: Dict[str, Any]) -> Dict[str, Any]:
    """The order in ``params``, every part what it must be. ``here`` says that the Lab is on this machine itself: with
    ``whole_env`` nothing is added to the kernel's environment and nothing withheld.

    Raises ChannelReset, and ValueError for what is no such part.
    """
    kernel_id = params.get("kernel_id")
    if not kernel_id_is_valid(kernel_id):
        raise ChannelReset(
            "invalid", "The kernel's id cannot be a folder's name.", "Letters, digits, ., _ and -."
        )
    argv = command_of(params)
    policy_of(params.get("idle"))  # raises ValueError
    whole, at_home = params.get("whole_env"), home()
    cwd = os.path.join(at_home, os.path.expanduser(str(params.get("cwd") or "")))
    return {
        "kernel_id": kernel_id,
        "incarnation": uuid.uuid4().hex,
        "argv": argv,
        "here": bool(whole),
        "env": _unpacked(whole) if whole else _texts(params.get("env") or {}),
        "cwd": cwd if os.path.isdir(cwd) else at_home,
        "key": str(params.get("key") or ""),
        "signature_scheme": str(params.get("signature_scheme") or "hmac-sha256"),
        "name": str(params.get("name") or "")[:200],
        "notebook": str(params.get("notebook") or "")[:1000],
        "owner": str(params.get("owner") or "")[:200],
        "lease": dict(params.get("lease") or {}),
        "idle": dict(params.get("idle") or {}),
    }


def _texts(given: Any) -> Dict[str, str]:
    return {str(name): str(value) for name, value in dict(given).items()}


def home() -> str:
    """Where a kernel starts for which nothing else is said."""
    return os.path.expanduser("~")


def command_of(params: Dict[str, Any]) -> List[str]:
    """The command in ``params``. Raises ChannelReset."""
    argv = [str(part) for part in params.get("argv") or []]
    if not argv:
        raise ChannelReset("invalid", "The kernel's command is empty.")
    if argv[0] in ("python", "python3"):
        argv[0] = sys.executable
    return argv


def disk_words(error: OSError) -> Tuple[str, str, str]:
    """Code, message and hint for a folder that cannot be written."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", f"There is no space for the kernel's journal: {error}", "Free some space there."
    hint = "Make a folder writable there, or set GENOPS_AGENT_STATE there to one that is."
    return "read_only", f"The kernel's journal cannot be written: {error}", hint
