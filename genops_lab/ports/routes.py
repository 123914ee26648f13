"""The operations of ports."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import PortsService as Service
else:
    Service = LazyService(__package__, "service", "PortsService")

OPERATIONS = [
    Operation("GET", "/ports", Service.list_ports),
    Operation("POST", "/ports", Service.open_port, action="execute", named=("host", "name")),
    Operation("GET", "/opened-ports", Service.list_opened_ports),
    Operation("DELETE", "/opened-ports/{host}/{name}", Service.close_port),
]
