"""Declare the operations of models that answer."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import EndpointsService as Service
else:
    Service = LazyService(__package__, "service", "EndpointsService")

OPERATIONS = [
    Operation("GET", "/endpoints", Service.list_endpoints),
    Operation("GET", "/endpoint-price", Service.known_price),
    Operation("POST", "/endpoints", Service.add_endpoint, named=("name",)),
    Operation("GET", "/endpoints/{name}", Service.get_endpoint),
    Operation("DELETE", "/endpoints/{name}", Service.delete_endpoint),
    Operation("POST", "/endpoints/{name}/test", Service.test_endpoint, action="execute", interruptible=True),
]
