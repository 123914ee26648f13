"""Import modules from the zip: compile each once per host, and load it completely where two threads import it
at once.

zipimport compiles each module again in each process, since Python 3.10 twice. A process's compiled code is
stored next to the zip, in a file for this Python, where only the user can write to the folder. Later
processes read it, which saves half of the CPU of an agent's or a keeper's start.

Before Python 3.10 zipimport has only ``load_module``, and the import system does not mark a module from it as
being initialised. A second thread that imports it meanwhile gets an incomplete module instead of waiting
("cannot import name ..."). With ``exec_module`` the import system itself does what is needed.
"""

from __future__ import annotations

import marshal
import os
import stat
import struct
import sys
import threading
import zipimport
import zlib
from importlib.util import MAGIC_NUMBER
from types import CodeType
from typing import Any, Dict

if sys.version_info >= (3, 10):
    _Importer = zipimport.zipimporter
else:
    from importlib.abc import InspectLoader

    class _Importer(zipimport.zipimporter, InspectLoader):
        """Has ``create_module`` and ``exec_module``, from InspectLoader."""


#: Python's magic number, the zip's size and time in ns, the CRC-32 of the rest.
_HEAD = struct.Struct("=4sqqI")

_PATIENCE_S = 2.0
_keeping = threading.Lock()

_archive = ""
#: Code by module, as ``marshal`` writes it: from earlier processes, and compiled here.
_kept: Dict[str, bytes] = {}
_new: Dict[str, CodeType] = {}


class ZipModules(_Importer):
    """A zipimporter whose code is compiled once."""

    def get_code(self, fullname: str) -> Any:
        """Return the code of a module."""
        if self.archive != _archive:
            return super().get_code(fullname)
        if fullname in _kept:
            return marshal.loads(_kept[fullname])  # noqa: S302 - from a folder of the user's alone
        code = _new[fullname] = super().get_code(fullname)
        return code

    def get_filename(self, fullname: str) -> str:
        """Return the path of a module. zipimport would compile the module to find it."""
        if self.archive != _archive:
            return super().get_filename(fullname)
        end = "/__init__.py" if self.is_package(fullname) else ".py"
        return f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}{end}"


def install() -> None:
    """Use this importer from now on; earlier imports stay."""
    global _archive
    _archive = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    _kept.update(_read())
    sys.path_hooks.insert(0, ZipModules)
    for path in [path for path in sys.path_importer_cache if path.startswith(_archive)]:
        del sys.path_importer_cache[path]


def keep() -> None:
    """Store this process's compiled code for later ones. Does nothing on a full disk, or one that does not
    belong to the user."""
    if _keeping.acquire(timeout=_PATIENCE_S):  # a thread that stores it finishes before the process ends
        try:
            _keep()
        finally:
            _keeping.release()


def _keep() -> None:
    new = dict(_new)
    if not new or sys.dont_write_bytecode:
        return
    _kept.update((name, marshal.dumps(code)) for name, code in new.items())
    for name in new:
        del _new[name]
    data = marshal.dumps({**_read(), **_kept})
    part = f"{_file()}.{os.getpid()}"
    try:
        if not _is_own(os.lstat(os.path.dirname(_archive))):
            return
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_head(data) + data)
        os.replace(part, _file())
    except OSError:
        _remove(part)


def _remove(part: str) -> None:
    try:
        os.unlink(part)
    except OSError:  # it was never made
        return


def _file() -> str:
    return f"{_archive}.{sys.implementation.cache_tag}"


def _head(data: bytes) -> bytes:
    of = os.stat(_archive)
    return _HEAD.pack(MAGIC_NUMBER, of.st_size, of.st_mtime_ns, zlib.crc32(data))


def _is_own(found: os.stat_result) -> bool:
    """Return whether only this user can have written the file."""
    return found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode) and not found.st_mode & 0o022


def _read() -> Dict[str, bytes]:
    """Return the stored code next to the zip; nothing where it is damaged, or another user could have written
    it."""
    try:
        if not _is_own(os.lstat(os.path.dirname(_archive))) or not _is_own(os.lstat(_file())):
            return {}
        with open(_file(), "rb") as file:
            head, data = file.read(_HEAD.size), file.read()
        expected = _head(data)
    except OSError:
        return {}
    if head != expected:
        return {}
    found: Dict[str, bytes] = marshal.loads(data)  # noqa: S302 - its sum is right, and the folder the user's alone
    return found
