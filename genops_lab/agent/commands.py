"""Start commands of this host for ``attach``: any program, kept as kernels are."""

from __future__ import annotations

import os
import sys
from types import MappingProxyType
from typing import Any, Dict, Set

from . import paths, processes
from .channels import ChannelReset
from .environment import kernel_environment
from .launch_spec import command_order_of, disk_words
from .starter import start_keeper
from .state_file import read_state
from .units import Units

#: A variable of all processes of a command, which identifies them where no keeper adopted them.
MARK = "GENOPS_COMMAND"


class Commands(Units):
    """Until it is forgotten, one id is one command, however often it is started."""

    kind = "command"
    untold = MappingProxyType({"program": ""})

    async def start(self, params: Dict[str, Any]) -> Dict[str, Any]:
        """Answer ``commands.start`` with the UnitInfo of the command with this id; start it unless it was
        started."""
        order = command_order_of(params)
        unit_id = order["command_id"]
        async with self._lock(unit_id):
            folder = paths.unit_folder(unit_id, self.kind)
            if folder is not None and read_state(folder) is not None:
                return await self._found(folder, order)
            try:
                # A folder in which nothing was started stays: another connection may be starting it right
                # now. The lock in it decides between their keepers.
                folder = folder or paths.make_unit_folder(unit_id, self.kind)
            except OSError as error:
                raise ChannelReset(*disk_words(error, self.kind)) from error
            env = kernel_environment(order["env"], "", os.environ)
            order["env"] = {**env, MARK: order["incarnation"]}
            try:
                return await start_keeper(sys.executable, folder, order, await self._how_to_survive())
            except ChannelReset as reset:
                if reset.code != "running":
                    raise
                return await self._found(folder, order)

    def _others(self, state: Dict[str, Any]) -> Set[int]:
        return processes.with_variable(MARK, state["incarnation"])

    async def _found(self, folder: str, order: Dict[str, Any]) -> Dict[str, Any]:
        info = await self.info(order)
        if (read_state(folder) or {}).get("order_digest") != order["order_digest"]:
            raise ChannelReset(
                "another",
                f"The id {order['command_id']} belongs to another command on this host ({info['name']}).",
                "Give each command its own id, or forget that one.",
            )
        return info
