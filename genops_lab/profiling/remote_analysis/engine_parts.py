"""Build the parts of the engine for a host: our code as a zip file, and the wheels that the host's Python
lacks.

Each part is identified by its SHA-256. The wheels are those of ``wheels.txt``; pip checks their hashes.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from genops_lab.core.errors import Unavailable
from genops_lab.core.paths import private_dir
from genops_lab.version import __version__

#: Dependencies of the engine besides the standard library, with the first version that works.
NEEDED = {"numpy": (1, 24), "msgspec": (0, 18, 6)}
FIRST_PYTHON, LAST_PYTHON = (3, 10), (3, 13)
_MACHINES = ("x86_64", "aarch64")
_FIRST_GLIBC = 17
_FETCH_S = 300.0
_WHEELS = Path(__file__).with_name("wheels.txt")
_PACKAGE = Path(__file__).parents[2]
_SOURCES = (
    "core/__init__.py",
    "core/errors.py",
    "profiling/__init__.py",
    "profiling/engine/efficiency/accelerators.json",
    "profiling/engine/**/*.py",
    # Only for machines like this one; the engine works without it.
    "profiling/engine/**/*.so",
    "profiling/models/*.py",
    "profiling/remote_analysis/__init__.py",
    "profiling/remote_analysis/host.py",
)
_DATE = (1980, 1, 1, 0, 0, 0)


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host's description of itself and of the trace. ``size`` is in bytes, ``changed_ns`` counts since
    1970, ``packed`` says whether the trace is compressed by gzip. ``has`` gives versions of packages, "" for
    a missing one."""

    path: str
    size: int
    changed_ns: int = 0
    packed: bool = False
    python: tuple[int, int]
    implementation: str
    machine: str
    glibc: str
    has: dict[str, str]

    @property
    def lacks(self) -> list[str]:
        """Return the dependencies that the host's Python lacks or has in an older version."""
        return [name for name, first in NEEDED.items() if _release(self.has.get(name, "")) < first]


class Part(NamedTuple):
    """A zip file and its SHA-256 in hexadecimal."""

    sha: str
    content: bytes


def parts_for(host: Host, folder: Path) -> list[Part]:
    """Return the parts of the engine for a host, in import order. ``folder`` keeps downloaded wheels. Blocks.

    Raises Unavailable where the engine cannot run there, with the reason as its message.
    """
    if host.implementation != "cpython" or host.python < FIRST_PYTHON:
        found = ".".join(map(str, host.python))
        raise Unavailable(f"its Python is {found}, and the engine needs 3.10 or newer")
    wheels = _wheels(host, folder) if host.lacks else []
    return [engine(), *(Part(hashlib.sha256(wheel).hexdigest(), wheel) for wheel in wheels)]


@cache
def engine() -> Part:
    """Return our code as a zip file, with the same bytes for the same version."""
    members = {"genops_lab/__init__.py": f"__version__ = {__version__!r}\n".encode()}
    for pattern in _SOURCES:
        for path in _PACKAGE.glob(pattern):
            members[f"genops_lab/{path.relative_to(_PACKAGE).as_posix()}"] = path.read_bytes()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            item = zipfile.ZipInfo(name, _DATE)
            item.compress_type = zipfile.ZIP_DEFLATED
            item.external_attr = 0o600 << 16
            archive.writestr(item, members[name])
    content = stream.getvalue()
    return Part(hashlib.sha256(content).hexdigest(), content)


def _wheels(host: Host, folder: Path) -> list[bytes]:
    lacking = " and ".join(host.lacks)
    version = ".".join(map(str, host.python))
    glibc = _release(host.glibc)
    if host.python > LAST_PYTHON or host.machine not in _MACHINES or glibc < (2, _FIRST_GLIBC):
        raise Unavailable(f"its Python {version} has no {lacking}, and there are no wheels for it")
    place = private_dir(folder / f"{version}-{host.machine}-{glibc[0]}.{glibc[1]}")
    found = _kept(place)
    if found is None:
        _fetch(place, version, host.machine, glibc[1])
        found = _kept(place)
    if found is None:
        raise Unavailable(f"its Python {version} has no {lacking}, and the downloaded wheels are damaged")
    return [content for name, content in found.items() if name in host.lacks]


def _kept(place: Path) -> dict[str, bytes] | None:
    """Return the wheels by distribution; None unless all are there with the hashes of ``wheels.txt``."""
    allowed = set(_WHEELS.read_text(encoding="utf-8").replace("--hash=sha256:", " ").split())
    found = {path.name.partition("-")[0]: path.read_bytes() for path in sorted(place.glob("*.whl"))}
    whole = all(hashlib.sha256(content).hexdigest() in allowed for content in found.values())
    return found if whole and found.keys() == NEEDED.keys() else None


def _fetch(place: Path, version: str, machine: str, glibc_minor: int) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc_minor, _FIRST_GLIBC - 1, -1)]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input",
        "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(_WHEELS),
        "--implementation", "cp", "--python-version", version, "--dest", str(place),
        *(word for each in (*platforms, f"manylinux2014_{machine}") for word in ("--platform", each)),
    ]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_FETCH_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        last = said.splitlines()[-1] if said else type(error).__name__
        raise Unavailable(
            f"its Python has no {' and '.join(NEEDED)}, and no wheels could be downloaded: {last}"
        ) from error


def _release(version: str) -> tuple[int, ...]:
    numbers = version.split("+")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdigit())
