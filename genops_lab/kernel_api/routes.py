"""The uploads of kernels on other hosts; all other operations belong to features."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import KERNELS, LazyService, Operation

if TYPE_CHECKING:
    from .uploads import IncomingFiles
else:
    IncomingFiles = LazyService(__package__, "uploads", "IncomingFiles")

OPERATIONS = [Operation("POST", "/tracking/files", IncomingFiles.offer_file, audited=False, admits=KERNELS)]
