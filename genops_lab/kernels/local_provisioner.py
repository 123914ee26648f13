"""Start the Lab's kernels on this machine, with GenOps in their environment."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from genops_lab.core.errors import GenOpsError

from .interpreters import interpreter_of, is_own_environment, mlflow_version
from .nsight.cleanup import guarded
from .nsight.kernelspecs import UnderNsight, under_nsight
from .nsight.launch import Start, started_under
from .process import PROCESS, KeptKernel, KernelHost

log = logging.getLogger("genops_lab")

NAME = "genops-local-provisioner"
_JUPYTERS_OWN = "local-provisioner"
_WAIT_WITH_MLFLOW_S = 30.0
_WAIT_WITHOUT_MLFLOW_S = 2.0
_asked: set[asyncio.Future[Mapping[str, str]]] = set()

#: Kernels of other environments get this folder: the kernel side, and nothing else of the Lab's.
KERNEL_SITE = Path(__file__).parent.parent / "kernel" / "site"


async def kernel_environment(
    host: KernelHost, argv: list[str], env: dict[str, str], kernel_id: str, kernelspec: str = ""
) -> dict[str, str]:
    """Return ``env`` with GenOps' variables. The user's own MLflow variables stay as they are."""
    interpreter = interpreter_of(argv, env)
    added = {
        "GENOPS_SOCKET": str(host.socket_path),
        "GENOPS_DATA_DIR": str(host.data_dir),
        "GENOPS_KERNEL_ID": kernel_id,
        "GENOPS_CLI": json.dumps([sys.executable, "-m", "genops_lab.commands"]),
        **({"GENOPS_KERNELSPEC": kernelspec} if kernelspec else {}),
        **PROCESS.variables,
    }
    if interpreter is None:
        return {**env, **added}
    if not is_own_environment(interpreter):
        paths = [str(KERNEL_SITE), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
        added["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    if not env.get("MLFLOW_TRACKING_URI"):
        added.update(await _mlflow_variables(host, mlflow_version(interpreter, env)))
    return {**env, **added}


async def _mlflow_variables(host: KernelHost, version: str) -> Mapping[str, str]:
    """Return the variables with the address for the kernel's ``mlflow.*`` calls.

    The first creation of the embedded file takes seconds: a kernel that cannot use the file does not wait for
    it.
    """
    wait_s = _WAIT_WITH_MLFLOW_S if version else _WAIT_WITHOUT_MLFLOW_S
    asked = asyncio.ensure_future(host.mlflow.of(version))
    _asked.add(asked)
    asked.add_done_callback(_asked.discard)
    try:
        return await asyncio.wait_for(asyncio.shield(asked), wait_s)
    except asyncio.TimeoutError:
        log.info("MLflow was not ready within %.0f s: a kernel starts without its address.", wait_s)
    except GenOpsError as error:
        log.warning("A kernel starts without MLflow's address: %s %s", error.message, error.hint)
    return {}


class GenOpsLocalProvisioner(LocalProvisioner):
    """Jupyter's own local provisioner, with GenOps in the kernel's environment. Where kernels are kept, it
    delegates to another provisioner."""

    kept: KeptKernel | None = None
    _first = True
    #: One of Nsight's tools started the present process.
    _start: Start | None = None
    #: Ends the process where this server is killed.
    _guard: subprocess.Popen[bytes] | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Add GenOps to the environment; after a failure the kernel starts without.

        Raises Unavailable for a kernel "with Nsight" where the tool cannot be used.
        """
        again = PROCESS.keeper is not None and PROCESS.keeper.finds(self.kernel_id)
        host = None if again else await PROCESS.host_when_open()
        keeper, nsight = PROCESS.keeper, under_nsight(self.kernel_spec.metadata)
        # The agent looks for Python at the head of a command, and starts such kernels ahead of time.
        if self._first and nsight is None and keeper is not None and keeper.takes(self.parent):
            self.kept = keeper.provisioner(self.parent, self.kernel_spec)
            self._asked = dict(kwargs)
        launcher = self.kept.pre_launch if self.kept is not None else super().pre_launch
        prepared = await self._with_the_lab(host, await launcher(**kwargs))
        return prepared if nsight is None else await self._under(nsight, prepared)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel; Jupyter starts it where it cannot be kept."""
        if self.kept is not None:
            try:
                self.connection_info = await self.kept.launch_kernel(cmd, **kwargs)
                self._first, self.cwd = False, kwargs.get("cwd")
                return self.connection_info
            except GenOpsError as error:
                if not self._first or PROCESS.keeper is None or not PROCESS.keeper.gives_up(error):
                    raise
            self.kept = None
            kwargs = await self._with_the_lab(PROCESS.host, await super().pre_launch(**self._asked))
            cmd = kwargs.pop("cmd")
        self._first = False
        return await super().launch_kernel(cmd, **kwargs)

    async def _with_the_lab(self, host: KernelHost | None, prepared: dict[str, Any]) -> dict[str, Any]:
        if host is None:
            return prepared
        try:
            env = dict(prepared.get("env") or os.environ)
            argv = list(self.kernel_spec.argv)
            name = str(getattr(self.parent, "kernel_name", "") or "")
            prepared["env"] = await kernel_environment(host, argv, env, str(self.kernel_id or ""), name)
        except Exception:  # the boundary: a kernel without GenOps is better than no kernel
            log.warning(
                "GenOps Lab could not prepare a kernel; the kernel starts without GenOps.", exc_info=True
            )
        return prepared

    async def _under(self, wanted: UnderNsight, prepared: dict[str, Any]) -> dict[str, Any]:
        env = dict(prepared.get("env") or os.environ)
        self._start = start = await asyncio.to_thread(started_under, wanted, prepared["cmd"], env)
        if not prepared.get("independent"):
            try:
                self._guard = await asyncio.to_thread(guarded, start.ending)
            except OSError as error:
                log.warning(
                    "No guard runs for the kernel under Nsight. The kernel stays when this "
                    "server is killed: %s.",
                    error,
                )
        return {**prepared, "cmd": start.command, "env": {**env, **start.variables}}

    @property
    def _doer(self) -> KeptKernel:
        jupyters_own: Any = super()
        return jupyters_own if self.kept is None else self.kept

    @property
    def has_process(self) -> bool:
        """Return whether there is a kernel."""
        return self._doer.has_process

    async def poll(self) -> int | None:
        """Return None while the kernel runs."""
        return await self._doer.poll()

    async def wait(self) -> int | None:
        """Wait for the kernel's end."""
        return await self._doer.wait()

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group."""
        await self._doer.send_signal(signum)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Note that an end which follows now was requested."""
        await self._doer.shutdown_requested(restart=restart)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel's processes to end."""
        await self._doer.terminate(restart=restart)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel."""
        await self._doer.kill(restart=restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Release the kernel's resources."""
        start, self._start = self._start, None
        if start is not None:
            await asyncio.to_thread(start.ending.do)
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.kill()
            await asyncio.to_thread(guard.wait)
        await self._doer.cleanup(restart=restart)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return the seconds that Jupyter waits for a polite end."""
        return self._doer.get_shutdown_wait_time(recommended)


def take_over(serverapp: Any) -> bool:
    """Let GenOps start kernels that have no provisioner of their own, unless another default was chosen.

    Returns whether GenOps starts them.
    """
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    factory = KernelProvisionerFactory.instance(parent=serverapp)
    if factory.default_provisioner_name not in (NAME, _JUPYTERS_OWN):
        log.info(
            "%s starts the kernels, so GenOps Lab adds nothing to their environment. %%load_ext "
            "genops_lab works where genops-lab is installed.",
            factory.default_provisioner_name,
        )
        return False
    if NAME not in factory.get_provisioner_entries():
        log.info(
            "The entry point %s is not installed, so GenOps Lab adds nothing to kernels. Install the "
            "package (pip install -e .) and restart.",
            NAME,
        )
        return False
    factory.default_provisioner_name = NAME
    return True


def is_default(serverapp: Any) -> bool:
    """Return whether GenOps starts kernels that have no provisioner of their own."""
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    return bool(KernelProvisionerFactory.instance(parent=serverapp).default_provisioner_name == NAME)
