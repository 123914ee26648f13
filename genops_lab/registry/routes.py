"""Declare the operations of registered models."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .deleting import ModelDeletion
    from .service import RegistryService as Service
    from .signatures import SignaturesService
else:
    ModelDeletion = LazyService(__package__, "deleting", "ModelDeletion")
    Service = LazyService(__package__, "service", "RegistryService")
    SignaturesService = LazyService(__package__, "signatures", "SignaturesService")

OPERATIONS = [
    paged("/models", Service.list_models),
    Operation("POST", "/models", Service.register_model, named=("name", "version")),
    Operation("GET", "/models/{name}", Service.get_model),
    Operation("DELETE", "/models/{name}", ModelDeletion.delete_model),
    Operation("GET", "/models/{name}/versions", Service.list_versions),
    Operation("DELETE", "/models/{name}/versions/{version}", ModelDeletion.delete_version),
    Operation("GET", "/models/{name}/versions/{version}/facts", Service.get_version_facts),
    # A PKCS#11 URI names a library, which is loaded.
    Operation(
        "POST",
        "/models/{name}/versions/{version}/signature",
        SignaturesService.sign_version,
        action="execute",
    ),
    Operation(
        "POST",
        "/models/{name}/versions/{version}/signature/verify",
        SignaturesService.verify_version,
        action="read",
    ),
    Operation("PUT", "/models/{name}/aliases/{alias}", Service.set_alias),
    Operation("DELETE", "/models/{name}/aliases/{alias}", Service.delete_alias),
    Operation("POST", "/models/{name}/aliases/{alias}/revert", Service.revert_alias),
    Operation("GET", "/models/{name}/moves", Service.list_moves),
]
