"""Declare the operations of cards and bills of materials."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import CardsService as Service
else:
    Service = LazyService(__package__, "service", "CardsService")

_VERSION = "/models/{name}/versions/{version}"

OPERATIONS = [
    Operation("GET", f"{_VERSION}/card", Service.get_card),
    Operation("PUT", f"{_VERSION}/card", Service.keep_card),
    Operation("PUT", f"{_VERSION}/card/sections/{{section}}", Service.write_section),
    Operation("GET", f"{_VERSION}/bom", Service.get_bill_of_materials),
]
