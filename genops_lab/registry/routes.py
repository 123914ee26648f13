"""Declare the operations of registered models."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .deleting import ModelDeletion
    from .importing import ModelImports
    from .service import RegistryService as Service
else:
    ModelDeletion = LazyService(__package__, "deleting", "ModelDeletion")
    ModelImports = LazyService(__package__, "importing", "ModelImports")
    Service = LazyService(__package__, "service", "RegistryService")

OPERATIONS = [
    paged("/models", Service.list_models),
    Operation("POST", "/models", Service.register_model, named=("name", "version")),
    Operation("GET", "/models/{name}", Service.get_model),
    Operation("DELETE", "/models/{name}", ModelDeletion.delete_model),
    Operation("GET", "/models/{name}/versions", Service.list_versions),
    Operation("DELETE", "/models/{name}/versions/{version}", ModelDeletion.delete_version),
    Operation("GET", "/models/{name}/versions/{version}/facts", Service.get_version_facts),
    Operation("PUT", "/models/{name}/aliases/{alias}", Service.set_alias),
    Operation("DELETE", "/models/{name}/aliases/{alias}", Service.delete_alias),
    Operation("POST", "/models/{name}/aliases/{alias}/revert", Service.revert_alias),
    Operation("GET", "/models/{name}/moves", Service.list_moves),
    Operation("POST", "/models/{name}/best", Service.register_best, named=("name", "version")),
    Operation("POST", "/models/{name}/imports", ModelImports.import_model),
    Operation("GET", "/models/{name}/imports/{task}", ModelImports.get_import),
]
