"""A full disk, a cancelled build: each ends in a clear state, and the name is free again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from genops_lab.core.errors import GenOpsError
from tests.support.rooms import Logged, Rooms, Training, eventually

from .conftest import deploy, register
from .test_parts import sample


def test_cancelling_a_deployment_ends_the_build_of_its_environment(
    rooms: Rooms, training: Training, digits: Logged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    logged = training.digits()
    (logged.folder / "requirements.txt").write_text(f"{sample(tmp_path, 600)}\n")
    rooms.trust(logged.folder, logged.run_id)
    register(rooms, "slowly-built", logged)
    begun = deploy(rooms, "slowly-built")
    mark = tmp_path / "building"
    eventually(lambda: mark.exists() and mark.read_text(), bool, 60)
    builder = psutil.Process(int(mark.read_text()))
    assert rooms.run(rooms.deployments.get_deployment("slowly-built")).state == "preparing"
    task = rooms.run(rooms.tasks.cancel_task(begun.task_id))
    assert task.state == "cancelled"
    builder.wait(5)
    found = rooms.run(rooms.deployments.get_deployment("slowly-built"))
    assert (found.state, found.message) == ("stopped", "Cancelled before it was ready.")
    assert list((rooms.settings.data_dir / "environments").iterdir()) == []
    deploy(rooms, "digits", name="slowly-built")
    assert rooms.run(rooms.deployments.stop_deployment("slowly-built")).state == "stopped"


@pytest.fixture
def small_disk(rooms: Rooms) -> Iterator[Path]:
    """The folder of deployments on a file system of a few kB."""
    folder = rooms.settings.data_dir / "deployments"
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or not mount or not umount:
        pytest.skip("only root can mount the small disk that this test fills")
    tried = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=128k", "none", str(folder)], capture_output=True
    )
    if tried.returncode != 0:
        pytest.skip("this machine lets nobody mount the small disk that this test fills")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def test_a_full_disk_is_told(rooms: Rooms, digits: Logged, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 112 * 1024)
    with pytest.raises(GenOpsError) as caught:
        deploy(rooms, "digits", name="no-room")
    assert "No space left" in caught.value.message or "disk is full" in caught.value.message
    assert "space" in caught.value.hint
    (small_disk / "filler").unlink()
    deploy(rooms, "digits", name="no-room")
    assert rooms.settled("no-room").state == "running"
    rooms.run(rooms.deployments.stop_deployment("no-room"))
    rooms.run(rooms.deployments.delete_deployment("no-room"))
