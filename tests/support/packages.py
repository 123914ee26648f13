"""Packages that are made in a moment and need no index: one that installs, one whose building waits."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

#: Builds a wheel of nothing once the file exists that GOL_GATE names; says so in a file beside it.
BACKEND = """\
import os, pathlib, sys, time
sys.path.insert(0, os.path.dirname(__file__))
import making

def build_wheel(folder, config_settings=None, metadata_directory=None):
    gate = pathlib.Path(os.environ["GOL_GATE"])
    gate.with_suffix(".begun").write_text(str(os.getpid()))
    while not gate.exists():
        time.sleep(0.02)
    name, data = making.wheel("golslow", "1.0")
    (pathlib.Path(folder) / name).write_bytes(data)
    return name
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "golslow"
version = "1.0"
"""


def wheel(name: str, version: str, needs: str = "") -> tuple[str, bytes]:
    """A wheel with one module of that name: its file name and its bytes."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {needs}\n" if needs else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", stream.getvalue()


def package_folder(folder: Path) -> Path:
    """A folder for --find-links: ``goltiny`` as a wheel, ``golslow`` as a source whose building waits for GOL_GATE."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [wheel("goltiny", "1.0"), wheel("goltiny", "2.0"), wheel("golasker", "1.0", "nowhere>=3")]
    # What uv puts into an environment unasked.
    made += [wheel(name, "99.0") for name in ("pip", "setuptools", "wheel")]
    for name, data in made:
        (folder / name).write_bytes(data)
    files = {
        "backend.py": BACKEND,
        "making.py": Path(__file__).read_text(encoding="utf-8"),
        "pyproject.toml": PYPROJECT,
        "PKG-INFO": "Metadata-Version: 2.1\nName: golslow\nVersion: 1.0\n",
    }
    with tarfile.open(folder / "golslow-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            item = tarfile.TarInfo(f"golslow-1.0/{name}")
            item.size = len(text.encode())
            archive.addfile(item, io.BytesIO(text.encode()))
    return folder


def without_index(folder: Path) -> dict[str, str]:
    """Variables by which pip and uv take packages from this folder alone."""
    return {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_OFFLINE": "1",
        "UV_CACHE_DIR": str(folder / "uv-cache"),
        "UV_FIND_LINKS": str(folder),
        "UV_NO_CONFIG": "1",
        "GOL_GATE": str(folder / "gate"),
    }
