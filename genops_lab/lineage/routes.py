"""Declare the operation of lineage."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import LineageService as Service
else:
    Service = LazyService(__package__, "service", "LineageService")

OPERATIONS = [
    Operation("GET", "/lineage", Service.get_lineage),
    Operation("GET", "/lineage/runs", Service.list_runs_without_version),
]
