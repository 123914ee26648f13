"""Pack the agent as one zip: the same bytes for the same version, identified by their hash."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from pathlib import Path

from ...version import __version__

_PACKAGE = Path(__file__).parent.parent.parent
_PARTS = ("agent", "kernel", "redaction", "runtime")
_SUFFIXES = (".py", ".js", ".css")
_DATE = (1980, 1, 1, 0, 0, 0)
_MAIN = """\
import sys

from genops_lab.agent import zip_imports

zip_imports.install()

from genops_lab.agent.__main__ import main

sys.exit(main(sys.argv[1:]))
"""
#: The content of ``genops_lab/__init__.py`` on a host.
INIT = f'"""As much of GenOps Lab as a host needs."""\n\n__version__ = {__version__!r}\n'.encode()

_lock = threading.Lock()
_made: tuple[bytes, str] | None = None


def payload() -> tuple[bytes, str]:
    """Return the zip and its SHA-256 in hexadecimal; made once per process. ``python agent-<sha>.pyz attach``
    runs it."""
    global _made
    with _lock:
        if _made is None:
            data = _build()
            _made = data, hashlib.sha256(data).hexdigest()
        return _made


def python_files(*parts: str) -> dict[str, bytes]:
    """Return the files of parts of this package, by their path."""
    return {
        f"genops_lab/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes()
        for part in parts
        for path in (_PACKAGE / part).rglob("*")
        if path.suffix in _SUFFIXES and path.is_file() and "__pycache__" not in path.parts
    }


def _build() -> bytes:
    members = {
        "__main__.py": _MAIN.encode(),
        "genops_lab/__init__.py": INIT,
        **python_files(*_PARTS),
    }
    return zipped(members)


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip of files by their path: the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            item = zipfile.ZipInfo(name, _DATE)
            item.compress_type = zipfile.ZIP_DEFLATED
            item.create_system = 3
            item.external_attr = 0o600 << 16
            archive.writestr(item, members[name])
    return stream.getvalue()
