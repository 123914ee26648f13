"""The operations of this machine, its kernels, and kernels on targets."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .remote_service import RemoteKernelsService as Kernels
    from .service import ComputeService as Service
    from .storage import StorageService as Storage
else:
    Kernels = LazyService(__package__, "remote_service", "RemoteKernelsService")
    Storage = LazyService(__package__, "storage", "StorageService")
    Service = LazyService(__package__, "service", "ComputeService")

OPERATIONS = [
    Operation("GET", "/compute/machine", Service.get_machine),
    Operation("GET", "/compute/kernels", Service.list_kernels),
    Operation("POST", "/targets/{name}/next-start", Kernels.choose_next_start),
    Operation("GET", "/targets/{name}/kernels", Kernels.list_target_kernels),
    Operation(
        "POST", "/targets/{name}/kernels/{kernel_id}/attach", Kernels.attach_remote_kernel, action="execute"
    ),
    Operation("POST", "/targets/{name}/kernels/{kernel_id}/stop", Kernels.stop_remote_kernel),
    Operation("POST", "/targets/{name}/kernels/{kernel_id}/keep", Kernels.keep_remote_kernel),
    Operation("GET", "/targets/{name}/kernels/{kernel_id}/log", Kernels.get_remote_kernel_log),
    Operation("GET", "/targets/{name}/storage", Storage.list_target_storage),
    Operation("POST", "/targets/{name}/storage/remove", Storage.remove_stored),
    Operation("POST", "/targets/{name}/storage/sweep", Storage.sweep_target),
    Operation("GET", "/remote-kernels", Kernels.list_remote_kernels),
    Operation("GET", "/kernel-notices", Kernels.list_kernel_notices),
    Operation("DELETE", "/kernel-notices/{kernel_id}", Kernels.drop_kernel_notice),
]
