"""Check hosts' keys against known_hosts files, by OpenSSH's rules.

A known host that shows a key of another type counts as changed, not as new: an attacker in between could
choose an unknown type.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Verdict = Literal["known", "unknown", "changed", "revoked"]

DEFAULT_PORT = 22


class KnownKey(NamedTuple):
    """One line that names the host."""

    marker: str
    key_type: str
    blob: bytes
    file: Path
    line: int


def fingerprint(blob: bytes) -> str:
    """Return ``SHA256:...`` as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def entry_name(host: str, port: int) -> str:
    """Return the name of a host and port in known_hosts."""
    return host if port == DEFAULT_PORT else f"[{host}]:{port}"


def own_file(folder: Path) -> Path:
    """Return the file of the keys that were accepted in the Lab."""
    return folder / "known_hosts"


class KnownHosts:
    """The content of some known_hosts files. Missing and unreadable files and broken lines are ignored."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._lines = [line for file in files for line in _lines(file)]

    def keys(self, name: str) -> list[KnownKey]:
        """Return the lines for ``name`` (see :func:`entry_name`), with any marker."""
        return [key for patterns, key in self._lines if _matches(patterns, name.lower())]

    def types(self, name: str) -> list[str]:
        """Return the types of the host's known keys, so that the host can be asked for one of these."""
        return list(dict.fromkeys(key.key_type for key in self.keys(name) if not key.marker))

    def has_authority(self, name: str) -> bool:
        """Return whether a ``@cert-authority`` line covers the host."""
        return any(key.marker == "@cert-authority" for key in self.keys(name))

    def look(self, name: str, blob: bytes) -> tuple[Verdict, KnownKey | None]:
        """Judge the key that the host showed; return the verdict and the line behind it."""
        found = self.keys(name)
        for key in found:
            if key.marker == "@revoked" and key.blob == blob:
                return "revoked", key
        plain = [key for key in found if not key.marker]
        for key in plain:
            if key.blob == blob:
                return "known", key
        if plain:
            return "changed", plain[0]
        if name.startswith("["):  # OpenSSH also accepts the known keys of port 22 for other ports
            for key in self.keys(name[1:].partition("]")[0]):
                if not key.marker and key.blob == blob:
                    return "known", key
        return "unknown", None


def _lines(file: Path) -> Iterator[tuple[list[str], KnownKey]]:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#"):
            continue
        try:
            blob = base64.b64decode(words[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        yield words[0].split(","), KnownKey(marker, words[1], blob, file, number)


def _matches(patterns: list[str], name: str) -> bool:
    matched = False
    for pattern in patterns:
        if pattern.startswith("|1|"):
            matched = matched or _hashed(pattern, name)
        elif pattern.startswith("!"):
            if _like(name, pattern[1:]):
                return False
        elif _like(name, pattern):
            matched = True
    return matched


def _like(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.lower().replace("[", "[[]"))


def _hashed(pattern: str, name: str) -> bool:
    try:
        salt, digest = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), digest)


def remember(folder: Path, name: str, key_type: str, blob: bytes) -> None:
    """Add a known key. Raises OSError."""
    line = f"{name.lower()} {key_type} {base64.b64encode(blob).decode()}\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(own_file(folder), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        os.write(handle, line)
    finally:
        os.close(handle)
