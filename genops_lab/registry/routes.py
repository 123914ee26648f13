"""Declare the operations of registered models."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .service import RegistryService as Service
else:
    Service = LazyService(__package__, "service", "RegistryService")

OPERATIONS = [
    paged("/models", Service.list_models),
    Operation("POST", "/models", Service.register_model, named=("name", "version")),
    Operation("GET", "/models/{name}", Service.get_model),
    Operation("GET", "/models/{name}/versions", Service.list_versions),
    Operation("GET", "/models/{name}/versions/{version}/facts", Service.get_version_facts),
    Operation("PUT", "/models/{name}/aliases/{alias}", Service.set_alias),
    Operation("DELETE", "/models/{name}/aliases/{alias}", Service.delete_alias),
]
