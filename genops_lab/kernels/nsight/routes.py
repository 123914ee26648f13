"""The operations of Nsight's tools and their kernelspecs."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import NsightService
else:
    NsightService = LazyService(__package__, "service", "NsightService")

OPERATIONS = [
    Operation("GET", "/compute/nsight", NsightService.list_nsight_tools),
    Operation("POST", "/compute/nsight/kernels", NsightService.prepare_nsight_kernel, named=("name",)),
]
