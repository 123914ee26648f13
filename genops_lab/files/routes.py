"""The operations of hosts' files."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import FilesService as Service
else:
    Service = LazyService(__package__, "service", "FilesService")

OPERATIONS = [Operation("GET", "/host-files", Service.find_files)]
