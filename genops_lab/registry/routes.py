"""Declare the operations of registered models."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .cleaning import ModelCleaning
    from .deleting import ModelDeletion
    from .importing import ModelImports
    from .leftovers import ModelLeftovers
    from .service import RegistryService as Service
    from .signatures import SignaturesService
    from .using import ModelUses
    from .versions.service import VersionTableService
else:
    ModelCleaning = LazyService(__package__, "cleaning", "ModelCleaning")
    ModelDeletion = LazyService(__package__, "deleting", "ModelDeletion")
    ModelImports = LazyService(__package__, "importing", "ModelImports")
    ModelLeftovers = LazyService(__package__, "leftovers", "ModelLeftovers")
    ModelUses = LazyService(__package__, "using", "ModelUses")
    Service = LazyService(__package__, "service", "RegistryService")
    VersionTableService = LazyService(__package__, "versions.service", "VersionTableService")
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
    Operation("POST", "/version-table", VersionTableService.query_versions, action="read"),
    Operation(
        "POST", "/version-table/completions", VersionTableService.complete_version_query, action="read"
    ),
    Operation("GET", "/version-table/columns", VersionTableService.list_version_columns),
    Operation("GET", "/version-table/state", VersionTableService.get_versions_state),
    Operation("POST", "/models/{name}/best", Service.register_best, named=("name", "version")),
    Operation("POST", "/models/{name}/imports", ModelImports.import_model),
    Operation("GET", "/models/{name}/imports/{task}", ModelImports.get_import),
    Operation("GET", "/models/{name}/old-versions", ModelCleaning.list_old_versions),
    Operation("POST", "/models/{name}/prune", ModelCleaning.delete_old_versions),
    Operation("GET", "/models/{name}/stages", ModelCleaning.list_stages),
    Operation("POST", "/models/{name}/stages", ModelCleaning.alias_stages),
    Operation("GET", "/model-leftovers", ModelLeftovers.list_leftovers),
    Operation("POST", "/model-leftovers/delete", ModelLeftovers.delete_leftovers),
    Operation("POST", "/models/{name}/pull", ModelUses.pull_version),
    Operation("POST", "/models/{name}/push", ModelUses.push_version),
    Operation("PUT", "/models/{name}/description", ModelUses.describe_model),
    Operation("PUT", "/models/{name}/versions/{version}/description", ModelUses.describe_version),
    Operation("GET", "/models/{name}/versions/{version}/code", ModelUses.get_loading_code),
]
