"""Terminals and files of a real sshd, beside a kernel, through a real Lab below a base URL."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from ptyprocess import PtyProcess
from tornado.websocket import websocket_connect

from genops_lab.app.features import SWITCHES, operations
from tests.support.homes import Home
from tests.support.lab_kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually
from tests.support.sshd import Sshd

PATIENT_S = 60.0
FOLDER = "/team/ada/"


class Scene:
    """A Lab, its kernel on the host ``gpu``, and the sshd of the host."""

    def __init__(self, lab: LabServer, kernel: LabKernel, host: Sshd) -> None:
        self.lab, self.kernel, self.host = lab, kernel, host

    def contents(self, method: str, path: str, body: Any = None, *, query: str = "") -> tuple[int, Any]:
        return self.lab.request(method, f"genops/contents/gpu/{quote(path)}{query}", body)

    def save(self, path: str, content: str, **more: Any) -> tuple[int, Any]:
        return self.contents("PUT", path, {"type": "file", "format": "text", "content": content, **more})


@pytest.fixture(scope="module")
def scene(module_home: Home) -> Iterator[Scene]:
    with Sshd() as host:
        (module_home.path / ".ssh").mkdir(mode=0o700, exist_ok=True)
        (module_home.path / ".ssh" / "config").write_text(f"Include {host.write_config()}\n")
        with running_lab(module_home, base_url=FOLDER) as lab:
            target = {"name": "gpu", "kind": "ssh", "host": host.alias, "python": sys.executable}
            target |= {"policy": {"folder": "off"}}
            status, answer = lab.request("POST", "genops/v1/targets", target)
            assert status == 200, answer
            with lab_kernel(lab, "genops-gpu") as kernel:
                yield Scene(lab, kernel, host)


class Shell:
    """``genops targets terminal`` in a real terminal."""

    def __init__(self, scene: Scene, where: str) -> None:
        command = [sys.executable, "-m", "genops_lab.commands", "targets", "terminal", where]
        environment = scene.lab.home.environment(TERM="xterm")
        self.process = PtyProcess.spawn(command, env=environment, cwd=str(scene.lab.home.work))
        self.seen = ""

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close(force=True)

    def type(self, text: str) -> None:
        self.process.write(text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows this after what was seen before."""
        deadline = time.monotonic() + PATIENT_S
        while (found := re.search(pattern, self.seen)) is None:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.fd], [], [], max(0.0, left))
            assert ready, f"{pattern!r} did not appear in {self.seen[-2000:]!r}"
            self.seen += os.read(self.process.fd, 65536).decode(errors="replace")
        self.seen = self.seen[found.end() :]
        return found

    def ended(self) -> int:
        """Wait for the command's end; its exit code."""
        try:
            while True:
                ready, _, _ = select.select([self.process.fd], [], [], PATIENT_S)
                assert ready, f"the command has not ended: {self.seen[-2000:]!r}"
                self.seen += os.read(self.process.fd, 65536).decode(errors="replace")
        except OSError:
            pass  # the terminal is closed: the command has ended
        self.process.wait()
        return int(self.process.exitstatus)


def test_a_shell_beside_the_kernel_takes_sizes_and_interrupts_and_ends_with_its_code(scene: Scene) -> None:
    scene.kernel.run("import os; os.makedirs('beside', exist_ok=True); os.chdir('beside')")
    with Shell(scene, scene.kernel.kernel_id[:8]) as shell:
        shell.process.setwinsize(31, 97)
        shell.type("echo in:$PWD; tty; exec 2>&1\n")
        assert shell.until(r"in:(/\S+)")[1] == str(scene.host.home / "beside")
        shell.until(r"/dev/pts/\d+")
        shell.process.setwinsize(33, 99)
        shell.type("until [ \"$(stty size)\" = '33 99' ]; do sleep 0.05; done; echo si''zed\n")
        shell.until("sized")
        # The program that is interrupted says itself that it runs: the shell alone would go on after an interrupt.
        shell.type("sh -c 'echo sle\"\"eps; exec sleep 600'; echo code:$?\n")
        shell.until("sleeps")
        shell.type("\x03")
        shell.until(r"\^C")
        shell.type("printf 'x%.0s' $(seq 1 300000) | wc -c; exit 7\n")
        shell.until(r"300000\s")
        assert shell.ended() == 7
    scene.kernel.run("os.chdir('..')")


def test_a_cut_is_told_and_enter_opens_another_shell(scene: Scene) -> None:
    with Shell(scene, "gpu") as shell:
        shell.type("echo he''re:$$\n")
        pid = int(shell.until(r"here:(\d+)")[1])
        scene.host.kill_sessions()
        shell.until("The connection to gpu was cut, and the programs of this shell have ended")
        shell.until("Press Enter")
        shell.type("\necho aga''in:$$\n")
        assert int(shell.until(r"again:(\d+)")[1]) != pid
        assert not Path(f"/proc/{pid}").exists()
        shell.type("exit\n")
        assert shell.ended() == 0


def test_a_tab_of_jupyterlab_runs_the_command_and_no_other(scene: Scene) -> None:
    status, answer = scene.lab.request("POST", "genops/v1/terminal-tabs", {"where": "nowhere"})
    assert status == 404 and "nowhere" in answer["error"]["message"]
    status, made = scene.lab.request("POST", "genops/v1/terminal-tabs", {"where": "gpu"})
    assert status == 200, made

    async def typed() -> str:
        url = scene.lab.url.replace("http", "ws", 1)
        socket = await websocket_connect(f"{url}terminals/websocket/{made['name']}?token={scene.lab.token}")
        await socket.write_message(json.dumps(["stdin", "echo home:$HOME:$((6*7))\r"]))
        shown = ""
        while ":42" not in shown:
            kind, *rest = json.loads(await asyncio.wait_for(socket.read_message(), PATIENT_S) or "[0]")
            shown += rest[0] if kind == "stdout" else ""
        socket.close()
        return shown

    assert f"home:{scene.host.home}:42" in asyncio.run(typed())
    assert scene.lab.request("DELETE", f"api/terminals/{made['name']}")[0] == 204


def test_files_are_listed_opened_saved_renamed_and_deleted(scene: Scene) -> None:
    found = scene.lab.get("genops/v1/host-files?where=gpu")
    assert (found["drive"], found["writable"]) == ("gpu", True)
    home = scene.host.home
    assert scene.contents("PUT", "work", {"type": "directory"})[0] == 201
    assert scene.save("work/train.py", "lr = 1\n")[0] == 201
    (home / "work" / "train.py").chmod(0o750)
    assert scene.save("work/train.py", "lr = 2\n")[0] == 200
    assert (home / "work" / "train.py").stat().st_mode & 0o777 == 0o750, "the mode stays"
    status, model = scene.contents("GET", "work/train.py", query="?hash=1")
    assert (status, model["content"], model["type"], model["writable"]) == (200, "lr = 2\n", "file", True)
    assert len(model["hash"]) == 64
    (home / "work" / "figure.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    picture = scene.contents("GET", "work/figure.png")[1]
    assert (picture["format"], picture["mimetype"]) == ("base64", "image/png")
    notebook = {
        "type": "notebook",
        "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    }
    assert scene.contents("PUT", "work/a.ipynb", notebook)[0] == 201
    assert scene.contents("GET", "work/a.ipynb")[1]["type"] == "notebook"
    status, moved = scene.contents("PATCH", "work/train.py", {"path": "work/new name.py"})
    assert (status, moved["path"]) == (200, "work/new name.py")
    assert scene.contents("PATCH", "work/a.ipynb", {"path": "work/new name.py"})[0] == 409
    names = [each["name"] for each in scene.contents("GET", "work")[1]["content"]]
    assert sorted(names) == ["a.ipynb", "figure.png", "new name.py"]
    assert scene.contents("DELETE", "work")[0] == 400, "it has files"
    for name in names:
        assert scene.contents("DELETE", f"work/{name}")[0] == 204
    assert scene.contents("DELETE", "work")[0] == 204 and not (home / "work").exists()

    def noted() -> list[tuple[str, str, str]]:
        return [
            (each["operation"], each["detail"]["path"], each["outcome"])
            for each in scene.lab.get("genops/v1/audit")["items"]
            if each["detail"].get("host") == "gpu"
        ]

    # A record is written behind the answer to its request.
    last, refused = ("files.delete", "work", "ok"), ("files.delete", "work", "400")
    found = eventually(noted, lambda records: {last, refused} <= set(records))
    assert [path for verb, path, outcome in found if (verb, outcome) == ("files.save", "ok")] == [
        "work/a.ipynb", "work/train.py", "work/train.py", "work",
    ]  # fmt: skip


def test_a_large_file_travels_in_portions_both_ways(scene: Scene) -> None:
    portions = [os.urandom(1_000_000) for _ in range(3)]
    for chunk, portion in zip((1, 2, -1), portions, strict=True):
        body = {
            "type": "file",
            "format": "base64",
            "chunk": chunk,
            "content": base64.b64encode(portion).decode(),
        }
        status, answer = scene.contents("PUT", "large.bin", body)
        assert status in (200, 201), answer
        assert (scene.host.home / "large.bin").exists() == (chunk == -1), "only a whole file gets the name"
    url = f"{scene.lab.url}genops/files/gpu/large.bin"
    assert httpx.get(url).status_code == 403
    answer = httpx.get(url, headers={"Authorization": f"token {scene.lab.token}"}, timeout=PATIENT_S)
    assert answer.content == b"".join(portions)
    assert "attachment" in answer.headers["Content-Disposition"]
    with open(scene.host.home / "huge.bin", "wb") as stream:
        stream.truncate(51_000_000)
    status, answer = scene.contents("GET", "huge.bin")
    assert status == 413 and "Download it" in answer["message"]
    status, answer = scene.contents("PUT", "other.bin", {**body, "chunk": 2})
    assert status == 201 or "Send the file again" in str(answer)


def test_no_path_leaves_the_home(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (scene.host.home / "out").symlink_to(tmp_path)
    (scene.host.home / "data").mkdir()
    (scene.host.home / "inside").symlink_to(scene.host.home / "data")
    assert scene.save("inside/a.txt", "a")[0] == 201 and (scene.host.home / "data" / "a.txt").exists()
    for path in ("out/secret.txt", "out/new.txt", "../secret.txt", "data/../../x", "data//x"):
        for method, body in (
            ("GET", None),
            ("PUT", {"type": "file", "format": "text", "content": "x"}),
            ("DELETE", None),
        ):
            status, answer = scene.contents(method, path, body)
            assert status in (400, 404), (method, path, status, answer)
    assert os.listdir(tmp_path) == ["secret.txt"]
    status, answer = scene.contents("GET", "out/secret.txt")
    assert "outside of the home" in answer["message"]
    assert scene.contents("DELETE", "out")[0] == 204 and (tmp_path / "secret.txt").exists(), "the link alone"
    assert scene.contents("GET", ".ssh")[0] == 404, "hidden, as in Jupyter's own file browser"


def test_an_operator_can_lock_terminals() -> None:
    others = [each for each in SWITCHES if each != "terminals"]
    paths = {each.path for each in operations(others)}
    assert not {"/terminals", "/terminal-tabs"} & paths and "/host-files" in paths
