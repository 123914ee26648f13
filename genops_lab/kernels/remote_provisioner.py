"""Let Jupyter start, attach to and end kernels on a target.

The provisioner runs in its caller's loop (the Jupyter server's, nbclient's, one that a synchronous manager
makes) and passes all work to the connections' thread. "Disconnected" is never "dead": ``poll`` reports an end
only when the host reported it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.provisioner_base import KernelProvisionerBase
from traitlets import Float, Unicode

from ..core.errors import GenOpsError, InvalidRequest, Unavailable
from ..hosts.best_fit import GPU_VARIABLES
from ..hosts.names import is_never_sent
from ..hosts.providers import provider_of
from ..hosts.providers.base import Resources
from ..hosts.resources import gpus_of, of_variables, resources_of
from .client.client import RemoteKernelClient
from .folders.before_start import Cap, Prepared
from .kernel_start import Start
from .preset_price import price_in
from .process import PROCESS
from .remote_kernels import RemoteKernels
from .target_entry import TargetEntry, idle_order

log = logging.getLogger("genops_lab")
T = TypeVar("T")

NAME = "genops-target-provisioner"
#: Seconds without any Lab attached after which the host ends the kernel: no GPU stays reserved for ever.
DEFAULT_LEASE_S = 7 * 86400.0
_SIGNAL_S = 5.0
_AWAY_S = 1.0
#: Seconds. While the kernel is ending, a host that does not answer delays nobody for longer.
_SIGNAL_ENDING_S = 1.5


class GenOpsTargetProvisioner(KernelProvisionerBase):
    """Kernels on a target. The configuration comes from the kernelspec's ``metadata.kernel_provisioner``."""

    #: `outputs.websocket` reads this: no message of this kernel is dropped on the way to a page
    keeps_messages = True
    #: whether the kernel's environment is only what it is given here, and nothing of its host's
    whole_env = False

    target = Unicode("", config=True, help="The target's name.")
    cwd = Unicode("", config=True, help="The kernel's folder on the host; empty for the host's home.")
    lease_s = Float(
        DEFAULT_LEASE_S, config=True, help="Seconds that a kernel lives without any Lab attached; 0 for ever."
    )

    _bridge: RemoteKernelClient | None = None
    _remote: RemoteKernels | None = None
    _entry: TargetEntry | None = None
    _notebook = ""
    _chosen: Mapping[str, str] | None = None
    _resources = Resources()
    _over = False
    _away = False
    _left_ended = False

    @property
    def has_process(self) -> bool:
        """Return whether this process is attached to a kernel that it has not seen end."""
        return self._bridge is not None and not self._over and not self._bridge.closed

    @property
    def bridge(self) -> RemoteKernelClient | None:
        """Return the kernel's client; None before the start and after the end."""
        return self._bridge

    @property
    def chosen(self) -> Mapping[str, str] | None:
        """Return the kernel's GPUs or its host's resources that a user chose, as variables; its restarts get
        them too. None before the start."""
        return self._chosen

    # Start

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Find the target, and the part of this process's environment for the kernel."""
        if not self.target:
            raise InvalidRequest(
                "The kernelspec names no target.",
                hint="It needs metadata.kernel_provisioner.config.target. Remove the kernelspec, and "
                "add the target again.",
            )
        self._remote = await PROCESS.remote_when_open()
        self._entry = await asyncio.to_thread(self._remote.find, self.target)
        extra = kwargs.pop("extra_arguments", [])
        given: Mapping[str, str] = kwargs.get("env") or {}
        self._notebook = given.get("JPY_SESSION_NAME", "")
        # Kept for restarts, which reuse this object.
        wished = self._remote.wishes.take(self.target, self._notebook)
        if wished is not None:
            self._chosen = wished
        elif self._chosen is None:
            self._chosen = self._remote.wishes.recall(self.kernel_id)
        if provider_of(self._entry.route.kind).allocates:
            # A preset's resources: a Lab that finds the kernel again knows only its target.
            self._chosen = {**of_variables(self.kernel_spec.env), **self._chosen}
        changed = {**self._changed(given, self._entry.secrets), **PROCESS.variables, **self._chosen}
        if provider_of(self._entry.route.kind).allocates:
            asked = resources_of({**given, **self._chosen})
            if asked.gpus is None:
                asked = msgspec.structs.replace(asked, gpus=gpus_of(changed))
            if not self._remote.expects(self.kernel_id):  # here, so that the start says why at once
                price = self._preset_price
                asked = await asyncio.to_thread(
                    self._remote.allowed,
                    self._entry.route,
                    self.kernel_id,
                    asked,
                    self._entry.price_per_hour if price is None else price,
                )
            self._resources = asked
            # The new host has its own GPU numbers.
            changed = {name: value for name, value in changed.items() if name not in GPU_VARIABLES}
        kwargs["env"] = changed
        kwargs = await super().pre_launch(cmd=[*self.kernel_spec.argv, *extra], **kwargs)
        kwargs["env"] = {name: value for name, value in kwargs["env"].items() if not is_never_sent(name)}
        return kwargs

    @property
    def _preset_price(self) -> float | None:
        return price_in(self.kernel_spec.metadata)

    @staticmethod
    def _changed(given: Mapping[str, str], secrets: list[str]) -> dict[str, str]:
        """Return the variables that differ from this process's own, and the secrets that were ticked for the
        target."""
        own = os.environ
        changed = {name: value for name, value in given.items() if own.get(name) != value}
        return {**{name: own[name] for name in secrets if name in own}, **changed}

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel, or attach to the running one with this id."""
        if self._remote is None or self._entry is None:
            raise InvalidRequest("pre_launch was not called.", hint="Start kernels through a KernelManager.")
        session = getattr(self.parent, "session", None)
        route = self._entry.route
        provider, folder = provider_of(route.kind), self._folder(self._remote, self._entry, kwargs)
        prepared = Prepared(cwd=self.cwd)
        if provider.is_this_machine:
            prepared = Prepared(cwd=self.cwd or str(kwargs.get("cwd") or ""))
        elif folder is not None and not provider.allocates:
            prepared = await self._remote.folders.prepare(route, *folder)
        start = Start(
            route=route,
            resources=self._resources,
            folder=folder if provider.allocates else None,
            kernel_id=self.kernel_id,
            argv=cmd,
            env=kwargs.get("env") or {},
            cwd=prepared.cwd,
            key=self._remote.keys.of(self.kernel_id),
            signature_scheme=session.signature_scheme if session else "hmac-sha256",
            name=getattr(self.parent, "kernel_name", "") or self.kernel_spec.display_name,
            notebook=self._notebook,
            lease_s=self.lease_s,
            idle=idle_order(self._entry, self._preset_price),
            whole_env=self.whole_env,
        )
        bridge = await self._remote.links.run(self._remote.launch(start))
        self._bridge, self._over, self._away = bridge, False, False
        if not provider.allocates:
            bridge.exchange.say_first(prepared.said)
        self.connection_info = bridge.exchange.endpoints.connection_info(
            bridge.exchange.key, start.signature_scheme
        )
        return self.connection_info

    def _folder(
        self, own: RemoteKernels, entry: TargetEntry, kwargs: Mapping[str, Any]
    ) -> tuple[str, str, Cap] | None:
        """Return the folder to send to the kernel's host before the start; None for none."""
        cwd = str(kwargs.get("cwd") or "")
        notebook = Path(self._notebook)
        if not cwd and notebook.is_absolute():
            cwd = str(notebook.parent)
        runs = own.expects(self.kernel_id) and not provider_of(entry.route.kind).allocates
        if self.cwd or not cwd or entry.policy.folder == "off" or runs:
            return None
        return cwd, self.kernel_id, Cap(entry.policy.folder_max_files, entry.policy.folder_max_bytes)

    # The kernel's state

    async def poll(self) -> int | None:
        """Return None unless the host reported the kernel's end: then its exit code."""
        if self._bridge is not None and self._bridge.exit_code is not None and self._bridge.ended_by:
            # Jupyter's restarter asks first: it must stop before it sees an intended end.
            stop = getattr(self.parent, "stop_restarter", None)
            if stop is not None and not self._left_ended:
                self._left_ended = True
                stop()
                return None
        return self._bridge.exit_code if self._bridge is not None and self.has_process else 0

    async def wait(self) -> int | None:
        """Wait for the end."""
        bridge = self._bridge
        if bridge is None or self._remote is None or not self.has_process:
            return 0
        code = await self._remote.links.run(bridge.wait_ended())
        self._over = True
        return code

    # Signals and ends

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel's process group. Raises Unavailable while the host is away."""
        bridge = self._bridge
        if bridge is None or self._remote is None or not self.has_process or bridge.exit_code is not None:
            return
        ending = bool(getattr(self.parent, "shutting_down", False))
        waits = bridge.pending_since is not None and signum == signal.SIGINT
        # A shutdown interrupts first, and then reports by itself what happens to waiting cells.
        if waits and (ending or await self._remote.links.run(bridge.interrupt_waiting())):
            return
        if ending and (self._away or bridge.state.state == "taken"):
            return
        if bridge.state.state == "taken":
            raise Unavailable(bridge.state.reason, hint="Take the kernel over first.", code="kernel_taken")
        params = {"kernel_id": self.kernel_id, "signal": int(signum)}
        timeout_s = _SIGNAL_ENDING_S if ending else _SIGNAL_S if bridge.link.is_up else _AWAY_S
        try:
            await self._remote.links.run(bridge.link.call("kernels.signal", params, timeout_s=timeout_s))
        except GenOpsError as error:
            if not ending:
                raise
            self._away = error.status == Unavailable.status
            log.info("Kernel %s got no signal %d: %s", self.kernel_id, signum, error.message)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Note that an end which follows now was requested."""
        if self._bridge is not None:
            self._bridge.expected_end = True
            if self._bridge.pending_since is not None:  # no process exists that could end politely
                await self.kill(restart)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel's processes to end."""
        if self._bridge is not None:
            self._bridge.expected_end = True
            await self.send_signal(signal.SIGTERM)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel; when its host is away, once the host is back. A kernel that another Lab has taken
        keeps running."""
        bridge, own = self._bridge, self._remote
        if bridge is None or own is None or not self.has_process or bridge.exit_code is not None:
            return
        if bridge.state.state == "taken" or not await own.links.run(own.stop(bridge)):
            self._over = True

    async def cleanup(self, restart: bool = False) -> None:
        """Close the sockets here. The host drops its records of the kernel once the outputs are saved."""
        bridge, own = self._bridge, self._remote
        if bridge is not None and own is not None and not restart:
            self._bridge = None
            # A stopping server has closed all of its connections, with the sockets, before this call.
            if not own.links.closed:
                await own.links.run(own.close(bridge))

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return the seconds that Jupyter waits for a polite end: few for a host that is away."""
        bridge = self._bridge
        if bridge is None or (bridge.link.is_up and not self._away):
            return recommended
        return min(_AWAY_S, recommended)

    def get_stable_start_time(self, recommended: float = 10.0) -> float:
        """Return the seconds after which a start counts as good."""
        return recommended

    def resolve_path(self, path: str) -> str | None:
        """Return None: paths of the host are unknown here."""
        return None

    # What outlives this process

    async def get_provisioner_info(self) -> dict[str, Any]:
        """Return what another process needs to attach (``load_provisioner_info``)."""
        info: dict[str, Any] = await super().get_provisioner_info()
        return {**info, "target": self.target, "cwd": self.cwd}

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Attach to the kernel; afterwards ``connection_info`` has this process's own sockets.

        Raises LinkError, RemoteError when the kernel no longer runs, KernelBusy.
        """
        await super().load_provisioner_info(provisioner_info)
        self.target = str(provisioner_info.get("target", self.target))
        self.cwd = str(provisioner_info.get("cwd", self.cwd))
        self._remote = own = await PROCESS.remote_when_open()
        self._entry = await asyncio.to_thread(own.find, self.target)
        self._bridge = await own.links.run(own.attach(self._entry.route, self.kernel_id))
        scheme = str(self.connection_info.get("signature_scheme", "hmac-sha256"))
        self.connection_info = self._bridge.exchange.endpoints.connection_info(
            self._bridge.exchange.key, scheme
        )
