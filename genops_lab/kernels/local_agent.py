"""Let the agent own kernels of this machine, as it owns those of targets."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Unicode

from genops_lab.agent import paths
from genops_lab.agent.launch_spec import packed

from ..core.errors import GenOpsError, InvalidRequest
from ..hosts.link.route import HERE
from .process import PROCESS
from .remote_kernels import RemoteKernels
from .remote_provisioner import GenOpsTargetProvisioner

log = logging.getLogger("genops_lab")

#: The parameters of a start are sent in one frame of 64 KiB.
_MAX_PACKED_ENVIRONMENT = 48 * 1024
#: The agent did not answer in time: the kernel may still start.
_UNKNOWN = "timeout"
_NAME = re.compile(r"\{([A-Za-z0-9_]+)\}")
_PYTHONS = ("python", f"python{sys.version_info[0]}", f"python{sys.version_info[0]}.{sys.version_info[1]}")


class HereProvisioner(GenOpsTargetProvisioner):
    """A kernel of this machine, with the command, environment and folder that Jupyter itself would give it."""

    target = Unicode(HERE.target)
    whole_env = True

    @property
    def pid(self) -> int | None:
        """Return the kernel's process; None while it is not known."""
        return None if self.bridge is None else int(self.bridge.info.get("pid") or 0) or None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Do the same as :meth:`LocalProvisioner.pre_launch`, without ports and connection file."""
        self._remote = await PROCESS.remote_when_open()
        self._entry = self._remote.find(self.target)
        extra = kwargs.pop("extra_arguments", [])
        kwargs.pop("transport_encryption", None)  # its sockets are in folders that only this user can enter
        self._notebook = (kwargs.get("env") or os.environ).get("JPY_SESSION_NAME", "")
        kwargs["cwd"] = str(kwargs.get("cwd") or Path.cwd())
        command = self._command([*self.kernel_spec.argv, *extra])
        return await KernelProvisionerBase.pre_launch(self, cmd=command, **kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the kernel as on a target. Raises InvalidRequest for an environment that is too large to
        send."""
        if len(packed(kwargs["env"])) > _MAX_PACKED_ENVIRONMENT:
            raise InvalidRequest(
                "The server's environment is too large to send to the agent.",
                hint="Start JupyterLab with fewer or shorter variables.",
            )
        return await super().launch_kernel(cmd, **kwargs)

    def _command(self, argv: list[str]) -> list[str]:
        """Do the same as ``KernelManager.format_kernel_cmd``; the agent fills in the connection file's name."""
        names = {"prefix": sys.prefix, "resource_dir": str(self.kernel_spec.resource_dir)}
        first = sys.executable if argv and argv[0] in _PYTHONS else argv[0]
        return [_NAME.sub(lambda found: names.get(found[1], found[0]), part) for part in [first, *argv[1:]]]


class LocalAgent:
    """Decides which kernels of this machine the agent owns.

    Calls ``trouble`` once, from any thread, with the reason where it cannot own them.
    """

    def __init__(self, remote: RemoteKernels, trouble: Callable[[str], None]) -> None:
        self._remote = remote
        self._trouble = trouble
        self._reported: set[str] = set()
        self._wanted = False

    async def begin(self) -> None:
        """Own each kernel that starts from now on, where possible."""
        reason = await asyncio.to_thread(cannot_keep)
        if reason:
            self.leave(reason)
            return
        self._wanted = True
        self._remote.links.submit(self._connect())

    async def _connect(self) -> None:
        """Start the agent before the first kernel needs it, and remove its records of old kernels."""
        link = self._remote.links.link(HERE)
        try:
            await link.up()
            await link.call("kernels.list", {"here": True})
        except GenOpsError as error:
            if not self._remote.links.closed:  # this process is already ending
                self.leave(f"{error.message} {error.hint}")

    def finds(self, kernel_id: str) -> bool:
        """Return whether the next start of this kernel attaches to a running one."""
        return self._remote.expects(kernel_id)

    def takes(self, manager: Any) -> bool:
        """Return whether the agent shall own this manager's kernel."""
        if self.finds(str(manager.kernel_id)):
            return True
        policy = getattr(manager, "_transport_encryption_policy", None)
        if self._wanted and policy is not None and policy() == "required":
            self.leave("The agent's sockets are not encrypted, but transport_encryption requires encryption.")
            return False
        return self._wanted

    def provisioner(self, manager: Any, kernel_spec: Any) -> HereProvisioner:
        """Return the provisioner for a kernel that the agent owns."""
        return HereProvisioner(kernel_id=manager.kernel_id, kernel_spec=kernel_spec, parent=manager)

    def gives_up(self, error: GenOpsError) -> bool:
        """Return whether Jupyter may start the kernel after this error: the kernel is known not to run."""
        if error.code == _UNKNOWN:
            return False
        self.leave(f"{error.message} {error.hint}")
        return True

    def leave(self, reason: str) -> None:
        """Report once that Jupyter owns this machine's kernels."""
        reason = reason.strip()
        log.warning("Jupyter itself starts the kernels of this machine, and they end with it: %s", reason)
        if reason not in self._reported:
            self._reported.add(reason)
            self._trouble(reason)


def cannot_keep() -> str:
    """Return why no kernel can be kept on this machine; empty where no reason is known. Blocks."""
    if not hasattr(socket, "AF_UNIX"):
        return "This platform has no unix sockets."
    try:
        paths.state_folder()
    except OSError as error:
        return (
            f"The agent cannot write outputs: {error}. Make a folder writable, or set "
            "GENOPS_AGENT_STATE to one that is."
        )
    return ""
