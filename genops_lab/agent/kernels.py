"""Start and manage the kernels of this host for ``attach``."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import Any, Dict, List

from . import survival
from .channels import ChannelReset
from .environment import kernel_environment, kernel_site
from .idle_policy import policy_of
from .lab_proxy import lab_environment
from .launch_spec import command_of, disk_words, home, order_of
from .logs import tail
from .paths import new_unit_folder, state_folder, unit_folder, unit_id_is_valid
from .starter import keeper_python, start_keeper
from .state_file import KERNEL_LOG
from .units import Units, call_keeper
from .warm_pool import LEASE_S, WarmPool, fits

_MAX_LOG_BYTES = 1024 * 1024


class Kernels(Units):
    """Kernels, and spare kernels that a start can take."""

    kind = "kernel"
    untold = MappingProxyType({"notebook": "", "execution_state": "dead", "idle": None})

    def __init__(self) -> None:
        super().__init__()
        self.pool = WarmPool(self._ask_spare, self._start_spare)

    async def start(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``kernels.start``."""
        order = order_of(params)
        async with self._lock(order["kernel_id"]):
            if unit_folder(order["kernel_id"]) is not None:
                await self._make_room(order["kernel_id"])
            try:
                state, _ = state_folder()
                folder = new_unit_folder(order["kernel_id"])
                if not order["here"]:
                    to_the_lab = lab_environment(order["kernel_id"], order["notebook"])
                    env = kernel_environment(order["env"], kernel_site(state), os.environ)
                    order["env"] = {**env, **to_the_lab}
            except OSError as error:
                raise ChannelReset(*disk_words(error)) from error
            if order["here"]:
                return await self._start_here(folder, order)
            taken = await self.pool.take(folder, order)
            if taken is not None:
                return taken
            if os.listdir(folder):  # a spare that could not be taken has started in it
                folder = new_unit_folder(order["kernel_id"])
            python = await keeper_python(order["argv"], order["env"])
            return await start_keeper(python, folder, order, await self._how_to_survive())

    async def _start_here(self, folder: str, order: Dict[str, Any]) -> Dict[str, Any]:
        """Start a kernel on the Lab's own machine: it stays in the Lab's control group, and shares its limits
        and its end."""
        python = await keeper_python(order["argv"], order["env"])
        return await start_keeper(python, folder, order, survival.Survival("", "", False))

    async def warm(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``kernels.warm``: keep ``count`` kernels of this command ready while the connection lasts."""
        scheme = str(params.get("signature_scheme") or "hmac-sha256")
        return await self.pool.keep(command_of(params), scheme, int(params["count"]))

    async def _start_spare(self, folder: str, argv: List[str], scheme: str) -> None:
        state, _ = state_folder()
        env = kernel_environment({}, kernel_site(state), os.environ)
        order = {
            "spare": True,
            "argv": argv,
            "env": env,
            "cwd": home(),
            "signature_scheme": scheme,
            "fits": fits(argv, scheme),
            "lease_s": LEASE_S,
        }
        await start_keeper(await keeper_python(argv, env), folder, order, await self._how_to_survive())

    async def _ask_spare(self, folder: str, method: str, params: Dict[str, Any], timeout_s: float) -> Any:
        streams = await self._connect(folder)
        if streams is None:
            raise ConnectionError("the spare kernel has ended, or was taken")
        return await call_keeper(streams, method, params, timeout_s)

    async def _make_room(self, kernel_id: str) -> None:
        info = await self.info({"kernel_id": kernel_id})
        if info["state"] == "running":
            raise ChannelReset(
                "running", f"The kernel {kernel_id} is already running.", "Attach to it, or stop it first."
            )
        await self._forget(kernel_id)

    async def runs(self, kernel_id: Any) -> bool:
        """Return whether a kernel of this id runs here now."""
        if not unit_id_is_valid(kernel_id) or unit_folder(kernel_id) is None:
            return False
        try:
            return bool((await self.info({"kernel_id": kernel_id}))["state"] == "running")
        except ChannelReset:
            return False

    async def policy(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``kernels.policy``: when the idle kernel is stopped; ``idle`` null: never."""
        policy_of(params.get("idle"))  # raises ValueError here, where the call can be answered
        return await self._ask_running(params["kernel_id"], "policy", {"idle": params.get("idle")})

    async def keep(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``kernels.keep``: a user needs the idle kernel."""
        return await self._ask_running(params["kernel_id"], "keep", {})

    async def log(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``kernels.log``: the kernel's output outside of cells."""
        folder = self._folder(params["kernel_id"])
        size = min(int(params.get("max_bytes", 65536)), _MAX_LOG_BYTES)
        return {"text": tail(os.path.join(folder, KERNEL_LOG), size)}
