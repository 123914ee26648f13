"""Declare the operations of status and diagnosis."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import DoctorService as Service
else:
    Service = LazyService(__package__, "service", "DoctorService")

OPERATIONS = [
    Operation("GET", "/status", Service.get_status),
    Operation("GET", "/doctor", Service.diagnose),
]
