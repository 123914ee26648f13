"""Homes of the agent's own, with everything in them ended afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.environments import uv_folder
from tests.support.homes import without_debugger
from tests.support.packages import package_folder, without_index
from tests.support.processes import end_those_of

from .building import PATH, PLAIN


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="ga"))
    without_debugger(folder / "ipython")
    try:
        yield folder
    finally:
        end_those_of(folder)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def agent_home() -> Iterator[Path]:
    """The agent's home, of this test alone."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Path]:
    """A home that a module's tests share."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def there(agent_home: Path) -> Iterator[dict[str, str]]:
    """The variables of a host without an index, whose home is the test's. It has uv where that can be had, for it is
    quick; with PLAIN it has none."""
    packages = package_folder(agent_home / "packages")
    uv = uv_folder()
    path = {"PATH": f"{uv}:{PATH}"} if uv else PLAIN
    yield {"HOME": str(agent_home), **path, "XDG_DATA_HOME": "", **without_index(packages)}
    end_those_of(agent_home)
