"""What pip, uv and venv say, in words that a person can act on."""

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
    """The line with what stands before an @ in an address left out."""
    return _PASSWORD.sub(r"\1****@", line)


def reason_of(lines: List[str]) -> str:
    """The part of an output that says why it failed."""
    for index in range(len(lines) - 1, -1, -1):
        bare = lines[index].strip().lower()
        if bare.startswith(("error:", "×")):  # uv explains over several lines, pip in one
            told = [
                re.sub(r"^(error|cause):\s*", "", line.strip(" │╰─▶×"), flags=re.I) for line in lines[index:]
            ]
            return re.split(r"\bhint: ", ": ".join(told) if bare.startswith("e") else " ".join(told))[
                0
            ].strip()
    return lines[-1].strip() if lines else ""


def words_of(step: Step, lines: List[str], code: int, free_bytes: int) -> Tuple[str, str]:
    """Message and hint of a step that failed. ``free_bytes``: what its disk had left then, for venv does not say."""
    printed, what = "\n".join(lines), step.title.rstrip(".")
    reason = reason_of(lines)[:_MAX_REASON] or (f"signal {-code}" if code < 0 else f"exit code {code}")
    if _FULL.search(printed) or free_bytes < _FULL_BYTES:
        return f"{what} failed: the disk is full.", "Free some space or quota on the host, then try again."
    if step.kind == "look" and re.search(r"Error: .*\b(ensurepip|venv)\b", printed):
        return _without_venv(step.argv[0])
    if _CERTIFICATE.search(printed):
        return (
            f"{what} failed: the certificate of the package index is not trusted there. {reason}",
            "Give pip and uv your organisation's certificate on the host: PIP_CERT and SSL_CERT_FILE in its "
            "~/.profile, or pip config set global.cert FILE.",
        )
    if _NO_NETWORK.search(printed):
        return (
            f"{what} failed: the host reaches no package index. {reason}",
            "Name a mirror or proxy in the host's own configuration: pip config set global.index-url URL, or "
            "UV_DEFAULT_INDEX and HTTPS_PROXY in its ~/.profile.",
        )
    if code == -9:
        return (
            f"{what} failed: it was killed, perhaps for memory.",
            "Look at the host's memory, then try again.",
        )
    if step.kind == "install":
        return (
            f"{what} failed: {reason}",
            "The log has all that was said. Correct the file, or choose another source.",
        )
    return f"{what} failed: {reason}", "The log has all that was said."


def _without_venv(python: str) -> Tuple[str, str]:
    uv = "uv needs no such package: curl -LsSf https://astral.sh/uv/install.sh | sh"
    if os.path.exists("/etc/debian_version"):
        found = re.search(r"python(3\.\d+)$", os.path.realpath(python))
        version = found[1] if found else "3"
        return (
            f"{python} cannot make environments: Debian and Ubuntu keep venv in a package of its own.",
            f"Install it on the host: sudo apt install python{version}-venv. Or install uv there; {uv}",
        )
    return (
        f"{python} cannot make environments: it comes without venv or ensurepip.",
        f"Name another Python, or install uv on the host; {uv}",
    )


def disk_words(error: OSError, folder: str) -> Dict[str, str]:
    """Message and hint where a folder cannot be used."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"message": f"The disk is full at {folder}.", "hint": "Free some space or quota on the host."}
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return {
            "message": f"{folder} cannot be written: {error.strerror}.",
            "hint": "Name a folder that can (--name /path/to/env).",
        }
    return {"message": f"{folder}: {error}", "hint": "See the folder on the host, or name another."}
