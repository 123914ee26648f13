"""The operations of gates."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import GatesService as Service
else:
    Service = LazyService(__package__, "service", "GatesService")

OPERATIONS = [
    Operation("GET", "/models/{name}/versions/{version}/gates", Service.get_gates),
    Operation("POST", "/models/{name}/versions/{version}/gates", Service.check_gates, interruptible=True),
    Operation(
        "POST", "/models/{name}/versions/{version}/promote", Service.promote_version, interruptible=True
    ),
]
