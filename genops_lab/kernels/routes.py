"""Where the compute room is found."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import ComputeService as Service
else:
    Service = LazyService(__package__, "service", "ComputeService")

OPERATIONS = [
    Operation("GET", "/compute/machine", Service.get_machine),
    Operation("GET", "/compute/kernels", Service.list_kernels),
    Operation("GET", "/compute/nsight", Service.list_nsight_tools),
    Operation("POST", "/compute/nsight/kernels", Service.prepare_nsight_kernel),
]
