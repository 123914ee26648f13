"""The quickstart's copy; tests/packaging has it from the wheel and over the route."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from genops_lab.core.errors import Conflict, Failed, NotFound
from genops_lab.core.settings import Settings
from genops_lab.quickstart.models import NewQuickstart
from genops_lab.quickstart.service import NOTEBOOK, QuickstartService, copy_into


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "quickstart.ipynb"
    assert copy_into(tmp_path) == (path, True)
    assert path.read_bytes() == NOTEBOOK.read_bytes()
    path.write_text("mine")
    assert copy_into(tmp_path) == (path, False)
    assert path.read_text() == "mine"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert copy_into(tmp_path) == (path, False)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="missing"):
        copy_into(tmp_path / "missing")


def test_nothing_is_left_where_there_is_no_room(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(Failed, match=r"Cannot write .+quickstart.ipynb: .+\."):
            copy_into(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


async def test_without_a_jupyterlab_the_command_is_named(tmp_path: Path) -> None:
    service = QuickstartService(Settings(data_dir=tmp_path))
    with pytest.raises(Conflict) as refused:
        await service.copy_quickstart(NewQuickstart())
    assert "genops quickstart" in refused.value.hint
