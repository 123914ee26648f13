"""Where registered models are found."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import RegistryService as Service
else:
    Service = LazyService(__package__, "service", "RegistryService")

OPERATIONS = [
    Operation("GET", "/models", Service.list_models),
    Operation("POST", "/models", Service.register_model, named=("name", "version")),
    Operation("GET", "/models/{name}", Service.get_model),
    Operation("PUT", "/models/{name}/aliases/{alias}", Service.set_alias),
    Operation("DELETE", "/models/{name}/aliases/{alias}", Service.delete_alias),
]
