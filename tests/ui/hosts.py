"""What a module adds to the shared Lab and takes away again: hosts of its user's ssh_config, and tools on its PATH."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.homes import Home
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually


@contextmanager
def ssh_config(server: LabServer, text: str) -> Iterator[None]:
    """An ssh_config of the Lab's user. Afterwards it is gone, with the targets that were added meanwhile."""
    config = server.home.path / ".ssh" / "config"
    config.parent.mkdir(mode=0o700, exist_ok=True)
    config.write_text(text)
    try:
        yield
    finally:
        for session in server.get("api/sessions"):
            server.request("DELETE", f"api/sessions/{session['id']}")
        for target in server.get("genops/targets"):
            status, answer = server.request("DELETE", f"genops/targets/{target['name']}?force=true")
            assert status == 200, answer
        config.unlink()


def connected(server: LabServer, target: dict[str, str]) -> None:
    """Add a target that asks nothing, and connect it."""
    status, answer = server.request("POST", "genops/targets", target)
    assert status == 200, answer
    place = f"genops/targets/{target['name']}"
    server.request("POST", f"{place}/connect", {})
    eventually(lambda: server.get(place), lambda each: each["state"] == "up", 90)


def tools(home: Home) -> Path:
    """The first folder on the shared Lab's PATH, which is not there unless a module makes it."""
    return home.path / "tools"


@contextmanager
def made_tools(home: Home) -> Iterator[Path]:
    """That folder, which is gone afterwards."""
    folder = tools(home)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
