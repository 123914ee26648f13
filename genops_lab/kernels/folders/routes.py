"""The operations of folders on targets."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import KERNELS, LazyService, Operation

if TYPE_CHECKING:
    from .requests import FolderRequests
    from .service import FoldersService as Service
else:
    FolderRequests = LazyService(__package__, "requests", "FolderRequests")
    Service = LazyService(__package__, "service", "FoldersService")

OPERATIONS = [
    Operation("POST", "/folders/look", Service.look_at_folder, action="read"),
    Operation("POST", "/folders/pull", Service.pull_folder),
    Operation("POST", "/folders/push", Service.push_folder),
    Operation("GET", "/folders/jobs/{job_id}", Service.get_folder_job),
    Operation("POST", "/folder/pull", FolderRequests.ask_to_pull, admits=KERNELS),
    Operation("GET", "/folder/pull/{request_id}", FolderRequests.get_pull, admits=KERNELS),
]
