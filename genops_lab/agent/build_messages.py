"""Turn the output of pip, uv and venv into messages and hints for users."""

from __future__ import annotations

import errno
import os
import re
from typing import Dict, List, Tuple

from .recipes import Step

_PASSWORD = re.compile(r"(://)[^/\s@]+@")
_NO_NETWORK = re.compile(
    r"name resolution|dns error|failed to establish a new connection|connection refused|network is unreachable"
    r"|connection timed out|error sending request|could not connect|tcp connect error",
    re.I,
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.I)
_CERTIFICATE = re.compile(r"certificate verify failed|invalid peer certificate|UnknownIssuer", re.I)
_MAX_REASON = 600
_FULL_BYTES = 1024 * 1024


def without_passwords(line: str) -> str:
    """Return the line without the user names and passwords of addresses."""
    return _PASSWORD.sub(r"\1****@", line)


def reason_of(lines: List[str]) -> str:
    """Return the part of an output with the reason of the failure."""
    for index in range(len(lines) - 1, -1, -1):
        bare = lines[index].strip().lower()
        if bare.startswith(("error:", "×")):  # uv explains over several lines, pip in one
            parts = [
                re.sub(r"^(error|cause):\s*", "", line.strip(" │╰─▶×"), flags=re.I) for line in lines[index:]
            ]
            return re.split(r"\bhint: ", ": ".join(parts) if bare.startswith("e") else " ".join(parts))[
                0
            ].strip()
    return lines[-1].strip() if lines else ""


def words_of(step: Step, lines: List[str], code: int, free_bytes: int) -> Tuple[str, str]:
    """Return the message and hint of a failed step. ``free_bytes``: the space left on its disk, which venv
    does not report."""
    printed, what = "\n".join(lines), step.title.rstrip(".")
    reason = reason_of(lines)[:_MAX_REASON] or (f"signal {-code}" if code < 0 else f"exit code {code}")
    if _FULL.search(printed) or free_bytes < _FULL_BYTES:
        return f"{what} failed: the disk is full.", "Free some space or quota on the host, then try again."
    if step.kind == "look" and re.search(r"Error: .*\b(ensurepip|venv)\b", printed):
        return _without_venv(step.argv[0])
    if _CERTIFICATE.search(printed):
        return (
            f"{what} failed: the host does not trust the certificate of the package index. {reason}",
            "Give pip and uv your organisation's certificate on the host. Set PIP_CERT and "
            "SSL_CERT_FILE in ~/.profile, or run: pip config set global.cert FILE",
        )
    if _NO_NETWORK.search(printed):
        return (
            f"{what} failed: the host cannot reach a package index. {reason}",
            "Name a mirror or proxy in the host's own configuration. Run pip config set "
            "global.index-url URL, or set UV_DEFAULT_INDEX and HTTPS_PROXY in ~/.profile.",
        )
    if code == -9:
        return (
            f"{what} failed: its process was killed, perhaps because the memory was full.",
            "Check the host's memory, then try again.",
        )
    if step.kind == "install":
        return (
            f"{what} failed: {reason}",
            "The log has the whole output. Correct the file, or choose another source.",
        )
    return f"{what} failed: {reason}", "The log has the whole output."


def _without_venv(python: str) -> Tuple[str, str]:
    uv = "uv does not need this package: curl -LsSf https://astral.sh/uv/install.sh | sh"
    if os.path.exists("/etc/debian_version"):
        found = re.search(r"python(3\.\d+)$", os.path.realpath(python))
        version = found[1] if found else "3"
        return (
            f"{python} cannot make environments: Debian and Ubuntu have venv in a separate package.",
            f"Install it on the host: sudo apt install python{version}-venv. Or install uv on the host; {uv}",
        )
    return (
        f"{python} cannot make environments: it has no venv or no ensurepip.",
        f"Name another Python, or install uv on the host; {uv}",
    )


def disk_words(error: OSError, folder: str) -> Dict[str, str]:
    """Return the message and hint for a folder that cannot be used."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"message": f"The disk is full at {folder}.", "hint": "Free some space or quota on the host."}
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return {
            "message": f"{folder} cannot be written: {error.strerror}.",
            "hint": "Name a writable folder (--name /path/to/env).",
        }
    return {"message": f"{folder}: {error}", "hint": "Check the folder on the host, or name another."}
