"""Declare the operation of the quickstart."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import QuickstartService as Service
else:
    Service = LazyService(__package__, "service", "QuickstartService")

OPERATIONS = [Operation("POST", "/quickstart", Service.copy_quickstart)]
