"""A kernel that another Lab started becomes one of a real Jupyter server."""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any

import pytest

from genops_lab.core.paths import contents_path
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

from .labs import connected, on, open_lab, run, start

NOTEBOOK: dict[str, Any] = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
KERNEL = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]


def attach(server: LabServer, kernel_id: str, target: str = "gpu1") -> tuple[int, Any]:
    return server.request("POST", f"genops/targets/{target}/kernels/{kernel_id}/attach", {}, timeout=120)


def test_a_running_kernel_opens_with_its_notebook(at_home: Home, host: Sshd) -> None:
    (at_home.work / "train.ipynb").write_text(json.dumps(NOTEBOOK))

    async def another_lab() -> list[str]:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            assert (await connected(lab, "gpu1")).state == "up"
            # Jupyter gives a kernel its notebook's file.
            files = (at_home.work / "train.ipynb", at_home.work / "train.ipynb", at_home.path / "else.ipynb")
            return [await start(lab, "gpu1", KERNEL, str(file)) for file in files]

    first, second, third = run(another_lab())
    with running_lab(at_home) as server:
        status, body = attach(server, first)
        assert (status, body["error"]["code"]) == (409, "not_connected")
        server.request("POST", "genops/targets/gpu1/connect", {})
        eventually(lambda: server.get("genops/targets/gpu1"), lambda found: found["state"] == "up", 90)

        for _ in range(2):  # a second click changes nothing
            status, body = attach(server, first)
            assert status == 200, body
            assert (body["path"], body["kernel_id"]) == ("train.ipynb", first)
        status, body = attach(server, second)
        assert (status, body["path"]) == (200, ""), "its notebook has a kernel already"
        status, body = attach(server, third)
        assert (status, body["path"]) == (200, ""), "its notebook is none of this server's"

        assert {each["id"] for each in server.get("api/kernels")} == {first, second, third}
        [session] = server.get("api/sessions")
        assert (session["path"], session["kernel"]["id"]) == ("train.ipynb", first)
        kernels = {each["kernel_id"]: each for each in server.get("genops/targets/gpu1/kernels")["kernels"]}
        assert kernels[first]["attached"] is not None and kernels[second]["attached"] is not None
        assert kernels[first]["state"] == "running" and kernels[first]["ours"]

        for unknown in (str(uuid.uuid4()), "..%2F..%2Fetc"):
            status, body = attach(server, unknown)
            assert status in (400, 404) and body["error"]["message"], body
        status, body = server.request("DELETE", "genops/targets/gpu1")
        assert (status, body["error"]["code"]) == (409, "kernels_running")
        assert first in body["error"]["message"] and "train.ipynb" in body["error"]["message"]

        server.request("POST", f"genops/targets/gpu1/kernels/{second}/stop", {})
        status, body = attach(server, second)
        assert (status, body["error"]["code"]) == (409, "ended")


def test_without_a_server_nothing_is_attached(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        from genops_lab.core.errors import Conflict
        from genops_lab.hosts.models import AttachKernel

        async with open_lab(at_home) as lab:
            try:
                await lab.remote_kernels.attach_remote_kernel("gpu1", "k", AttachKernel())
            except Conflict as error:
                assert error.code == "no_server" and error.hint
            else:
                raise AssertionError("it was attached to nothing")

    run(body())


@pytest.mark.parametrize(
    ("notebook", "here"),
    [
        ("/home/ada/work/a/b.ipynb", "a/b.ipynb"),
        ("a/b.ipynb", "a/b.ipynb"),
        ("/home/ada/workshop/b.ipynb", ""),
        ("/etc/passwd", ""),
        ("/home/ada/work/../secret.ipynb", ""),
        ("../secret.ipynb", ""),
        ("/home/ada/work", ""),
        ("", ""),
    ],
)
def test_a_host_names_no_notebook_outside_of_the_server(notebook: str, here: str) -> None:
    assert contents_path(notebook, "/home/ada/work") == here
    assert contents_path("/home/ada/work/b.ipynb", "") == "", "a contents manager without files"
