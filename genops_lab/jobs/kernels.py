"""Start fresh kernels of the Jupyter server for jobs, and run cells in them."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from jupyter_core.utils import ensure_async

from genops_lab.core.errors import Failed, GenOpsError, NotFound, Unavailable

log = logging.getLogger("genops_lab")

READY_WITHIN_S = 180.0
_BEGINS_WITHIN_S = 5.0
_STDERR_LINES = 20


class KernelDied(Failed):
    """The kernel ended before its cell did."""

    code = "kernel_died"


class CellFailed(Failed):
    """A cell raised an error."""

    code = "cell_failed"


class JobKernel:
    """The client of one kernel, with the same messages as a notebook."""

    def __init__(self, manager: Any, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self._manager = manager
        self._kernel = manager.get_kernel(kernel_id)
        self._client: Any = None
        self._died = asyncio.get_running_loop().create_future()
        self._reading: list[asyncio.Task[None]] = []
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._busy = asyncio.Event()
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        restarter = getattr(self._kernel, "_restarter", None)
        if restarter is not None:
            restarter.restart_limit = 0  # do not restart a job's kernel that dies
        self._callbacks = [(lambda: self._end(""), event) for event in ("restart", "dead")]
        for callback, event in self._callbacks:
            manager.add_restart_callback(kernel_id, callback, event)
        provisioner = getattr(self._kernel, "provisioner", None)
        provisioner = getattr(provisioner, "kept", None) or provisioner
        if hasattr(provisioner, "bridge"):  # the host reports the kernel's end sooner, and not only crashes
            self._reading.append(asyncio.create_task(self._watch(provisioner)))

    async def connect(self) -> None:
        """Wait until the kernel answers, at most 180 s. Raises KernelDied or Unavailable."""
        client = self._client = self._kernel.client()
        client.start_channels()
        try:
            await self._or_death(client.wait_for_ready(timeout=READY_WITHIN_S))
        except RuntimeError as error:
            raise Unavailable(
                f"The kernel {self._kernel.kernel_name} did not start: {error}.",
                hint="Check that its target is connected, and read the kernel's log.",
            ) from error
        self._reading.append(asyncio.create_task(self._read(client.get_shell_msg, self._reply)))
        self._reading.append(asyncio.create_task(self._read(client.get_iopub_msg, self._hear)))

    async def ask(self, module: str, function: str, given: Any) -> Any:
        """Call ``function`` of GenOps Lab's ``module`` in the kernel and return its answer.

        Raises CellFailed with the error's message, and KernelDied.
        """
        call = f"__import__({module!r}, fromlist=['x']).answer({function!r}, {json.dumps(given)!r})"
        reply = await self._execute("", silent=True, store_history=False, user_expressions={"x": call})
        found = reply.get("user_expressions", {}).get("x") or {}
        if found.get("status") != "ok":
            if found.get("ename") == "ModuleNotFoundError":
                raise CellFailed(
                    f"The kernel {self._kernel.kernel_name} cannot import GenOps Lab: {found.get('evalue')}.",
                    hint="Use a Python kernel that JupyterLab with GenOps Lab starts.",
                )
            raise CellFailed(_words(found or reply))
        answer = json.loads(ast.literal_eval(found["data"]["text/plain"]))
        if "message" in answer:
            raise CellFailed(answer["message"], hint=answer["hint"])
        return answer["value"]

    async def run(self, code: str) -> None:
        """Run a cell. Raises CellFailed with the error's message, and KernelDied."""
        self._stderr.clear()
        reply = await self._execute(code, store_history=True)
        if reply.get("status") != "ok":
            raise CellFailed(
                _words(reply), details={"interrupted": reply.get("ename") == "KeyboardInterrupt"}
            )

    async def idle(self) -> None:
        """Wait until the kernel is idle."""
        await self._execute("", silent=True, store_history=False)

    async def interrupt(self) -> None:
        """Interrupt the running cell. Wait up to 5 s for its begin: an interrupt before it has no effect."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._busy.wait(), _BEGINS_WITHIN_S)
        await ensure_async(self._kernel.interrupt_kernel())

    async def shutdown(self) -> None:
        """Shut the kernel down; do nothing if it has ended."""
        for task in self._reading:
            task.cancel()
        if self._client is not None:
            self._client.stop_channels()
        if self.kernel_id in self._manager:
            try:
                for callback, event in self._callbacks:
                    self._manager.remove_restart_callback(self.kernel_id, callback, event)
                await ensure_async(self._manager.shutdown_kernel(self.kernel_id, now=True))
            except Exception as error:  # a boundary: one kernel's error must not block the others
                log.warning("Cannot shut down the kernel %s of a job: %s", self.kernel_id, error)
        self._end("It was shut down.")
        self._died.exception()  # mark the error as retrieved

    async def let_go(self) -> None:
        """Disconnect from the kernel and leave it to the next server."""
        for task in self._reading:
            task.cancel()
        if self._client is not None:
            self._client.stop_channels()

    async def _execute(self, code: str, **options: Any) -> dict[str, Any]:
        self._busy.clear()
        message_id = self._client.execute(code, allow_stdin=False, stop_on_error=False, **options)
        reply = self._waiting[message_id] = asyncio.get_running_loop().create_future()
        try:
            content: dict[str, Any] = await self._or_death(reply)
            return content
        finally:
            del self._waiting[message_id]

    async def _or_death(self, work: Any) -> Any:
        """Return the result of ``work``. Raises KernelDied as soon as the kernel ends."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, self._died], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                self._died.result()
            return task.result()
        finally:
            task.cancel()

    async def _read(self, receive: Callable[..., Any], take: Callable[[dict[str, Any]], None]) -> None:
        while True:
            take(await receive(timeout=None))

    def _reply(self, message: dict[str, Any]) -> None:
        waiting = self._waiting.get(message["parent_header"].get("msg_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(message["content"])

    def _hear(self, message: dict[str, Any]) -> None:
        own = message["parent_header"].get("msg_id") in self._waiting
        if own and message["msg_type"] == "status" and message["content"].get("execution_state") == "busy":
            self._busy.set()
        if message["msg_type"] == "stream" and message["content"].get("name") == "stderr":
            self._stderr.extend(str(message["content"].get("text", "")).splitlines()[-_STDERR_LINES:])

    async def _watch(self, provisioner: Any) -> None:
        await provisioner.wait()
        self._end("")

    def _end(self, why: str) -> None:
        if not self._died.done():
            last_line = next((line for line in reversed(self._stderr) if line.strip()), "")
            self._died.set_exception(
                KernelDied(
                    " ".join(filter(None, ["The kernel died.", why, last_line])),
                    hint="Check the machine's memory and the kernel's log.",
                )
            )


class Start(NamedTuple):
    """The start of a job's kernel: its folder on this machine, its notebook and its environment variables."""

    cwd: str
    notebook: str
    variables: dict[str, str]


class FreshKernels:
    """Start kernels for jobs with the server's kernel manager."""

    def __init__(self, serverapp: Any) -> None:
        self._manager = serverapp.kernel_manager
        self._specs = serverapp.kernel_spec_manager

    async def name_of(self, wanted: str) -> str:
        """Return the name of the kernelspec ``wanted``, or of the target ``wanted``. Raises NotFound."""
        known = await ensure_async(self._specs.get_all_specs())
        name = wanted or str(self._manager.default_kernel_name)
        for found in (name, f"genops-{name}"):
            if found in known:
                return found
        raise NotFound(
            f"There is no kernel or target {wanted!r}.",
            hint=f"Available kernels: {', '.join(sorted(known))}.",
        )

    async def start(self, kernel_name: str, how: Start) -> JobKernel:
        """Start a kernel and wait until it answers. Raises GenOpsError."""
        env = {**os.environ, **how.variables}
        if how.notebook:
            env["JPY_SESSION_NAME"] = how.notebook
        options: dict[str, Any] = {"kernel_name": kernel_name, "env": env}
        if how.cwd and os.path.isdir(how.cwd):  # noqa: ASYNC240, PTH112 - one look
            options["cwd"] = how.cwd
        began = time.monotonic()
        try:
            kernel_id = str(await ensure_async(self._manager.start_kernel(**options)))
        except GenOpsError:
            raise
        except Exception as error:  # a boundary: whatever a kernel manager raises
            raise Failed(
                f"The kernel {kernel_name} did not start: {error or type(error).__name__}.",
                hint="Try to start it from the launcher, and read JupyterLab's log.",
            ) from error
        kernel = JobKernel(self._manager, kernel_id)
        try:
            await kernel.connect()
        except BaseException:
            await asyncio.shield(kernel.shutdown())
            raise
        log.debug("A job's kernel %s took %.1f s to start.", kernel_id, time.monotonic() - began)
        return kernel

    def ids(self) -> list[str]:
        """Return the ids of the server's kernels."""
        return [str(kernel_id) for kernel_id in self._manager.list_kernel_ids()]

    async def attach(self, kernel_id: str) -> JobKernel | None:
        """Connect to a kernel of the server; None if the server does not have it."""
        if not kernel_id or kernel_id not in self._manager:
            return None
        kernel = JobKernel(self._manager, kernel_id)
        await kernel.connect()
        return kernel


def _words(reply: dict[str, Any]) -> str:
    name, value = str(reply.get("ename") or "Error"), str(reply.get("evalue") or "").strip()
    first = value.splitlines()[0][:500] if value else ""
    return f"{name}: {first}" if first else name
