"""Fresh kernels of the Jupyter server, and what runs in them."""

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
_SAID_LINES = 20


class KernelDied(Failed):
    """The kernel ended before what it was asked for did."""

    code = "kernel_died"


class CellFailed(Failed):
    """A cell raised."""

    code = "cell_failed"


class JobKernel:
    """One kernel of the server, spoken to as a notebook speaks to it."""

    def __init__(self, manager: Any, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self._manager = manager
        self._kernel = manager.get_kernel(kernel_id)
        self._client: Any = None
        self._died = asyncio.get_running_loop().create_future()
        self._reading: list[asyncio.Task[None]] = []
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._busy = asyncio.Event()
        self._said: deque[str] = deque(maxlen=_SAID_LINES)
        restarter = getattr(self._kernel, "_restarter", None)
        if restarter is not None:
            restarter.restart_limit = 0  # a job's kernel that dies is not started anew
        self._callbacks = [(lambda: self._end(""), event) for event in ("restart", "dead")]
        for callback, event in self._callbacks:
            manager.add_restart_callback(kernel_id, callback, event)
        provisioner = getattr(self._kernel, "provisioner", None)
        provisioner = getattr(provisioner, "kept", None) or provisioner
        if hasattr(provisioner, "bridge"):  # its host says when it ends, sooner and of more than crashes
            self._reading.append(asyncio.create_task(self._watch(provisioner)))

    async def connect(self) -> None:
        """Wait until it answers. Raises KernelDied or Unavailable."""
        client = self._client = self._kernel.client()
        client.start_channels()
        try:
            await self._or_death(client.wait_for_ready(timeout=READY_WITHIN_S))
        except RuntimeError as error:
            raise Unavailable(
                f"The kernel {self._kernel.kernel_name} did not get ready: {error}.",
                hint="See whether its target is connected, and the kernel's log.",
            ) from error
        self._reading.append(asyncio.create_task(self._read(client.get_shell_msg, self._reply)))
        self._reading.append(asyncio.create_task(self._read(client.get_iopub_msg, self._hear)))

    async def ask(self, module: str, function: str, given: Any) -> Any:
        """What a function of the kernel's own side answers, by ``answer`` of its module there. Raises CellFailed with
        its words, KernelDied."""
        call = f"__import__({module!r}, fromlist=['x']).answer({function!r}, {json.dumps(given)!r})"
        reply = await self._execute("", silent=True, store_history=False, user_expressions={"x": call})
        found = reply.get("user_expressions", {}).get("x") or {}
        if found.get("status") != "ok":
            if found.get("ename") == "ModuleNotFoundError":
                raise CellFailed(
                    f"The kernel {self._kernel.kernel_name} has nothing of GenOps Lab's: {found.get('evalue')}.",
                    hint="Take a Python kernel that JupyterLab with GenOps Lab starts.",
                )
            raise CellFailed(_words(found or reply))
        answer = json.loads(ast.literal_eval(found["data"]["text/plain"]))
        if "message" in answer:
            raise CellFailed(answer["message"], hint=answer["hint"])
        return answer["value"]

    async def run(self, code: str) -> None:
        """Run a cell. Raises CellFailed with the error's words, KernelDied."""
        self._said.clear()
        reply = await self._execute(code, store_history=True)
        if reply.get("status") != "ok":
            raise CellFailed(
                _words(reply), details={"interrupted": reply.get("ename") == "KeyboardInterrupt"}
            )

    async def idle(self) -> None:
        """Wait until what it runs has ended."""
        await self._execute("", silent=True, store_history=False)

    async def interrupt(self) -> None:
        """Interrupt what it was asked for, once it has begun that: before, it would not notice."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._busy.wait(), _BEGINS_WITHIN_S)
        await ensure_async(self._kernel.interrupt_kernel())

    async def shutdown(self) -> None:
        """End the kernel; harmless for one that is gone."""
        for task in self._reading:
            task.cancel()
        if self._client is not None:
            self._client.stop_channels()
        if self.kernel_id in self._manager:
            try:
                for callback, event in self._callbacks:
                    self._manager.remove_restart_callback(self.kernel_id, callback, event)
                await ensure_async(self._manager.shutdown_kernel(self.kernel_id, now=True))
            except (
                Exception
            ) as error:  # a boundary: a kernel that cannot be ended must not hold up the others
                log.warning("The job's kernel %s could not be ended: %s", self.kernel_id, error)
        self._end("It was ended.")
        self._died.exception()  # told by now, or to nobody

    async def let_go(self) -> None:
        """Leave the kernel to who comes next: this server stops."""
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
        """The result of ``work``, or KernelDied as soon as the kernel is gone."""
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
            self._said.extend(str(message["content"].get("text", "")).splitlines()[-_SAID_LINES:])

    async def _watch(self, provisioner: Any) -> None:
        await provisioner.wait()
        self._end("")

    def _end(self, why: str) -> None:
        if not self._died.done():
            said = next((line for line in reversed(self._said) if line.strip()), "")
            self._died.set_exception(
                KernelDied(
                    " ".join(filter(None, ["The kernel died.", why, said])),
                    hint="See its memory and its log.",
                )
            )


class Start(NamedTuple):
    """How a job's kernel is started: its folder (on this machine), the notebook that it counts to, its variables."""

    cwd: str
    notebook: str
    variables: dict[str, str]


class FreshKernels:
    """Starts kernels for jobs, through the server's own kernel manager."""

    def __init__(self, serverapp: Any) -> None:
        self._manager = serverapp.kernel_manager
        self._specs = serverapp.kernel_spec_manager

    async def name_of(self, wanted: str) -> str:
        """The kernelspec that ``wanted`` names: itself, or that of a target. Raises NotFound."""
        known = await ensure_async(self._specs.get_all_specs())
        name = wanted or str(self._manager.default_kernel_name)
        for found in (name, f"genops-{name}"):
            if found in known:
                return found
        raise NotFound(
            f"There is no kernel or target {wanted!r}.",
            hint="Kernels here: " + ", ".join(sorted(known)) + ".",
        )

    async def start(self, kernel_name: str, how: Start) -> JobKernel:
        """A new kernel that answers. Raises GenOpsError with what kept it from starting."""
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
                hint="See whether it starts from the launcher.",
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
        """The kernels that the server has."""
        return [str(kernel_id) for kernel_id in self._manager.list_kernel_ids()]

    async def attach(self, kernel_id: str) -> JobKernel | None:
        """The kernel of this id, where the server has it."""
        if not kernel_id or kernel_id not in self._manager:
            return None
        kernel = JobKernel(self._manager, kernel_id)
        await kernel.connect()
        return kernel


def _words(reply: dict[str, Any]) -> str:
    name, value = str(reply.get("ename") or "Error"), str(reply.get("evalue") or "").strip()
    first = value.splitlines()[0][:500] if value else ""
    return f"{name}: {first}" if first else name
