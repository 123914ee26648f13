"""Real ipykernels, spoken to as a notebook speaks to them."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import local_provisioner

from .forked import ForkServer

CELL_TIMEOUT_S = 120.0


@dataclass
class Cell:
    """What a cell answered: all messages on iopub, and the shell's reply."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``ok``, ``error`` or ``aborted``."""
        return str(self.reply["status"])

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The contents of one type of message."""
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    def stream(self, name: str) -> str:
        """Standard output or error."""
        return "".join(content["text"] for content in self.of("stream") if content["name"] == name)

    @property
    def result(self) -> str:
        """The text of the last expression; empty without one."""
        return "".join(content["data"]["text/plain"] for content in self.of("execute_result"))


def said_on(cell: Cell) -> str:
    """The text of a live view as it is left under the cell."""
    return str(cell.of("update_display_data")[-1]["data"]["text/plain"])


class RunningKernel:
    """A kernel and its client."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        """Its process."""
        return int(self.manager.provisioner.pid)

    def send(self, code: str, **options: Any) -> str:
        """Run a cell and do not wait."""
        return str(self.client.execute(code, allow_stdin=False, **options))

    def finish(self, message_id: str, timeout_s: float = CELL_TIMEOUT_S) -> Cell:
        """Wait for the end of a cell."""
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + timeout_s
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            own = message["parent_header"].get("msg_id") == message_id
            if own or message["msg_type"].startswith("comm_"):
                messages.append(message)
            if own and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.1, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message_id:
                return Cell(reply["content"], messages)

    def run(self, code: str, timeout_s: float = CELL_TIMEOUT_S, **options: Any) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.send(code, **options), timeout_s)

    def ok(self, code: str) -> Cell:
        """Run a cell that must succeed."""
        cell = self.run(code)
        assert cell.status == "ok", (cell.reply, cell.stream("stderr"))
        return cell

    def wait_for(self, kind: str, timeout_s: float = 60.0) -> dict[str, Any]:
        """The next message of this type on iopub."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["msg_type"] == kind:
                return dict(message)
        raise AssertionError(f"no {kind} within {timeout_s:.0f} s")


@contextmanager
def running_kernel(
    python: str | Path,
    env: dict[str, str],
    cwd: Path,
    under: Sequence[str] = (),
    forks: ForkServer | None = None,
) -> Iterator[RunningKernel]:
    """A kernel of the interpreter ``python`` in ``cwd``, ended afterwards; started by the command ``under``, if any, or
    forked by ``forks``, with what that has imported."""
    argv = [*under, str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager = KernelManager(connection_file=str(cwd.parent / f"kernel-{os.urandom(3).hex()}.json"))
    mode = "message" if under else "signal"
    manager._kernel_spec = KernelSpec(argv=argv, display_name="test", language="python", interrupt_mode=mode)
    with pytest.MonkeyPatch.context() as patch:
        if forks is not None:
            patch.setattr(local_provisioner, "launch_kernel", forks.launch_kernel)
        manager.start_kernel(env=env, cwd=str(cwd))
    kernel: RunningKernel | None = None
    try:
        kernel = RunningKernel(manager)
        yield kernel
    finally:
        if kernel is not None:
            kernel.client.stop_channels()
        manager.shutdown_kernel(now=True)
