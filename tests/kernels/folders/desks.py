"""A Lab with a target behind a real sshd, and a project with a terminal and a kernel in it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import KernelManager

from genops_lab.hosts.models import Answer, OpenQuestion
from tests.commands.conftest import Outcome, RunningLab
from tests.kernels.places import Running
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.sshd import Sshd
from tests.support.warm import program, warm_workers

DEADLINE_S = 90.0


class Desk:
    """A Lab, a target, and a project with a terminal in it."""

    def __init__(self, lab: RunningLab, host: Sshd, name: str) -> None:
        self.lab, self.host = lab, host
        self.here = lab.home.work / name
        self.here.mkdir()

    def genops(self, *arguments: str, cwd: Path | None = None) -> Outcome:
        done = subprocess.run(
            [*program("genops_lab.commands.main"), *arguments],
            capture_output=True, text=True, cwd=cwd or self.here, env=self.lab.home.environment(),
            stdin=subprocess.DEVNULL, timeout=150,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str, cwd: Path | None = None) -> Any:
        done = self.genops(*arguments, "--json", cwd=cwd)
        assert done.code == 0, done.err
        return json.loads(done.out)

    @property
    def there(self) -> Path:
        memory = self.lab.lab.remote.folders.memories.get("gpu1", str(self.here.resolve()))
        return self.host.home / memory.there.removeprefix("~/")

    @contextmanager
    def kernel(self) -> Iterator[Kernel]:
        manager = KernelManager(kernel_name="genops-gpu1")
        manager.start_kernel(cwd=str(self.here))
        kernel = Kernel(None, manager)  # type: ignore[arg-type]
        try:
            kernel.ok("%load_ext genops_lab")
            yield kernel
        finally:
            kernel.close()

    def answers(self, text: str | None) -> Answering:
        """Answer the next question."""
        return Answering(self.lab, text)


class Kernel(Running):
    def ok(self, code: str) -> str:
        reply, printed = self.run(code)
        assert reply["status"] == "ok", reply
        return printed


class Answering:
    """Waits for one question in a thread, and answers it."""

    def __init__(self, lab: RunningLab, text: str | None) -> None:
        self._lab, self._text = lab, text
        self.question: OpenQuestion | None = None

    def __enter__(self) -> Answering:
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        questions = self._lab.lab.questions
        while time.monotonic() < deadline:
            for question in self._lab.run(questions.list_questions()):
                self.question = question
                self._lab.run(questions.answer_question(question.id, Answer(text=self._text)))
                return
            time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        self._thread.join(DEADLINE_S)


@contextmanager
def a_world() -> Iterator[tuple[RunningLab, Sshd]]:
    """The target is ``gpu1``."""
    with (
        temporary_home() as home, Sshd() as host, pytest.MonkeyPatch.context() as patch, warm_workers(),
    ):  # fmt: skip
        _live_in(home, host, patch)
        place_store(home.data)
        running = RunningLab(home)
        try:
            added = running.call("targets", "add", "gpu1", "--ssh", host.alias, "--python", sys.executable)
            assert added.code == 0, added.err
            yield running, host
        finally:
            running.close()


def _live_in(home: Home, host: Sshd, patch: pytest.MonkeyPatch) -> None:
    for name, value in home.environment().items():
        patch.setenv(name, value)
    patch.delenv("SSH_AUTH_SOCK", raising=False)
    home.data.mkdir(parents=True, mode=0o700)
    (home.path / ".ssh").mkdir(mode=0o700)
    (home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
