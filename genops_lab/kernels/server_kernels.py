"""Read and attach the kernels of the Jupyter server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jupyter_core.utils import ensure_async

from genops_lab.core.paths import contents_path

from ..hosts.machine.metrics import KernelEntry


class ServerKernels:
    """Reads the server's kernel and session managers."""

    def __init__(self, serverapp: Any) -> None:
        self._serverapp = serverapp

    async def kernels(self) -> list[KernelEntry]:
        """Return the running kernels with their notebooks."""
        manager = self._serverapp.kernel_manager
        paths = await self._paths()
        entries = []
        for kernel_id in manager.list_kernel_ids():
            try:
                kernel = manager.get_kernel(kernel_id)
            except KeyError:  # it ended meanwhile
                continue
            # A kernel behind a gateway has no process on this machine.
            provisioner = getattr(kernel, "provisioner", None)
            provisioner = getattr(provisioner, "kept", None) or provisioner
            spec = getattr(provisioner, "kernel_spec", None)
            about = (getattr(spec, "metadata", None) or {}).get("genops")
            about = about if isinstance(about, dict) else {}
            entries.append(
                KernelEntry(
                    kernel_id=kernel_id,
                    name=str(kernel.kernel_name),
                    path=paths.get(kernel_id, ""),
                    state=str(getattr(kernel, "execution_state", None) or "unknown"),
                    pid=getattr(provisioner, "pid", None),
                    target=str(about.get("target") or ""),
                    preset=str(about.get("preset") or ""),
                )
            )
        return entries

    def choose_ids(
        self,
        choose: Callable[[str, Mapping[str, str]], Awaitable[str]],
        failed: Callable[[str], Awaitable[None]],
    ) -> None:
        """Give new kernels the ids that ``choose(kernel_name, environment)`` returns, unless they are empty; call
        ``failed(id)`` where such a start fails."""
        manager = self._serverapp.kernel_manager
        start = manager.start_kernel

        async def start_kernel(*, kernel_id: str | None = None, **options: Any) -> str:
            chosen = ""
            if kernel_id is None:
                chosen = await choose(str(options.get("kernel_name") or ""), options.get("env") or {})
            if not chosen:
                return str(await ensure_async(start(kernel_id=kernel_id, **options)))
            try:
                return str(await ensure_async(start(kernel_id=chosen, **options)))
            except BaseException:
                await failed(chosen)
                raise

        manager.start_kernel = start_kernel

    async def attach(self, kernel_name: str, kernel_id: str, notebook: str) -> str:
        """Attach a running kernel of a target to the server; return the notebook that opens with it.

        Empty where this server has no such notebook, or the notebook has another kernel. Raises the errors of
        the start: the provisioner attaches to a kernel of this id instead of starting one.
        """
        manager, sessions = self._serverapp.kernel_manager, self._serverapp.session_manager
        contents = self._serverapp.contents_manager
        notebook = contents_path(notebook, getattr(contents, "root_dir", ""))
        known = notebook and await ensure_async(contents.file_exists(notebook))
        if kernel_id not in manager:
            options: dict[str, Any] = {"kernel_id": kernel_id, "kernel_name": kernel_name}
            if known:
                options["path"] = await ensure_async(contents.get_kernel_path(path=notebook))
                options["env"] = {**os.environ, "JPY_SESSION_NAME": notebook}
            await ensure_async(manager.start_kernel(**options))
        paths = await self._paths()
        if kernel_id in paths:
            return paths[kernel_id]
        if not known or notebook in paths.values():
            return ""
        await ensure_async(
            sessions.save_session(
                str(uuid.uuid4()),
                path=notebook,
                name=notebook.rpartition("/")[2],
                type="notebook",
                kernel_id=kernel_id,
            )
        )
        return notebook

    async def _paths(self) -> dict[str, str]:
        sessions: list[dict[str, Any]] = await ensure_async(self._serverapp.session_manager.list_sessions())
        return {
            str(session["kernel"]["id"]): str(session.get("path") or "")
            for session in sessions
            if session.get("kernel")
        }
