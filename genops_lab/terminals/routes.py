"""The operations of terminals."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import TerminalsService as Service
else:
    Service = LazyService(__package__, "service", "TerminalsService")

OPERATIONS = [
    Operation("POST", "/terminals", Service.open_terminal, action="execute", named=("target", "kernel_id")),
    Operation("POST", "/terminal-tabs", Service.open_tab, action="execute", named=("name",)),
]
