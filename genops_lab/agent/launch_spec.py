"""Check a Lab's orders to start a unit: its command, its environment, its folder."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import uuid
import zlib
from typing import Any, Dict, List, Mapping, Tuple

from .channels import ChannelReset
from .idle_policy import policy_of
from .journal import MAX_BYTES
from .paths import unit_id_is_valid

#: A full journal drops an eighth of its bytes at a time.
MIN_BYTES = 65536


def packed(env: Mapping[str, str]) -> str:
    """Pack an environment for ``whole_env``: a call's parameters have one frame, and a large environment
    more."""
    return base64.b64encode(zlib.compress(json.dumps(dict(env)).encode(), 9)).decode()


def _unpacked(text: str) -> Dict[str, str]:
    found: Dict[str, str] = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


def order_of(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the checked order in ``params``.

    ``here``: the Lab is on this machine itself, so with ``whole_env`` the kernel's environment is used
    unchanged. Raises ChannelReset, and ValueError for an invalid part.
    """
    common = _common(params, "kernel")
    policy_of(params.get("idle"))  # raises ValueError
    whole = params.get("whole_env")
    cwd = _folder_of(params)
    return {
        **common,
        "here": bool(whole),
        "env": _unpacked(whole) if whole else common["env"],
        "cwd": cwd if os.path.isdir(cwd) else home(),
        "key": str(params.get("key") or ""),
        "signature_scheme": str(params.get("signature_scheme") or "hmac-sha256"),
        "notebook": str(params.get("notebook") or "")[:1000],
        "idle": dict(params.get("idle") or {}),
    }


def command_order_of(params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the checked order of a command: ``command_id``, ``argv``, ``cwd`` (relative to the home),
    ``env`` (on top of the login's), ``name``, ``owner``, ``lease``, ``journal_max_bytes``."""
    common = _common(params, "command")
    cwd = _folder_of(params)
    if not os.path.isdir(cwd):
        raise ChannelReset(
            "no_such_folder", f"The folder {cwd} does not exist on this host.", "Make it, or name another."
        )
    most = int(params.get("journal_max_bytes") or MAX_BYTES)
    if not MIN_BYTES <= most <= MAX_BYTES:
        raise ValueError(f"a journal of {most} bytes is not between {MIN_BYTES} and {MAX_BYTES}")
    digest = hashlib.sha256(json.dumps([common["argv"], cwd]).encode()).hexdigest()
    return {**common, "cwd": cwd, "journal_max_bytes": most, "order_digest": digest}


def _common(params: Dict[str, Any], kind: str) -> Dict[str, Any]:
    unit_id = params.get(f"{kind}_id")
    if not unit_id_is_valid(unit_id):
        raise ChannelReset(
            "invalid",
            f"The {kind}'s id cannot be the name of a folder.",
            "Use letters, digits, '.', '_' and '-'.",
        )
    return {
        "kind": kind,
        f"{kind}_id": unit_id,
        "incarnation": uuid.uuid4().hex,
        "argv": command_of(params, kind),
        "env": _texts(params.get("env") or {}),
        "name": str(params.get("name") or "")[:200],
        "owner": str(params.get("owner") or "")[:200],
        "lease": dict(params.get("lease") or {}),
    }


def _folder_of(params: Dict[str, Any]) -> str:
    return os.path.join(home(), os.path.expanduser(str(params.get("cwd") or "")))


def _texts(given: Any) -> Dict[str, str]:
    return {str(name): str(value) for name, value in dict(given).items()}


def home() -> str:
    """Return where a unit starts without a given folder: the home, or / where an account has none."""
    found = os.path.expanduser("~")
    return found if os.path.isdir(found) else os.sep


def command_of(params: Dict[str, Any], kind: str = "kernel") -> List[str]:
    """Return the command in ``params``; ``python`` is the interpreter of this agent. Raises ChannelReset."""
    argv = [str(part) for part in params.get("argv") or []]
    if not argv:
        raise ChannelReset("invalid", f"The {kind}'s command is empty.")
    if argv[0] in ("python", "python3"):
        argv[0] = sys.executable
    return argv


def disk_words(error: OSError, kind: str = "kernel") -> Tuple[str, str, str]:
    """Return code, message and hint for a folder that cannot be written."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "disk_full",
            f"The disk has no space for the {kind}'s journal: {error}",
            ("Free some space on the host."),
        )
    hint = "Make a folder writable on the host, or set GENOPS_AGENT_STATE on the host to a writable one."
    return "read_only", f"The {kind}'s journal cannot be written: {error}", hint
