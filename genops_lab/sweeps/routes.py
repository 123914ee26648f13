"""Declare the operations of sweeps."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .service import SweepsService
else:
    SweepsService = LazyService(__package__, "service", "SweepsService")

OPERATIONS = [
    paged("/sweeps", SweepsService.list_sweeps),
    Operation("POST", "/sweeps", SweepsService.start_sweep, action="execute", named=("id",)),
    Operation("POST", "/sweeps/summary", SweepsService.summarize_repeats, action="read"),
    Operation("GET", "/sweeps/{sweep_id}", SweepsService.get_sweep),
    Operation("DELETE", "/sweeps/{sweep_id}", SweepsService.delete_sweep, named=("id",)),
    Operation("POST", "/sweeps/{sweep_id}/stop", SweepsService.stop_sweep),
    Operation("POST", "/sweeps/{sweep_id}/resume", SweepsService.resume_sweep, action="execute"),
]
