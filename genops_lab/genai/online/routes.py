"""The operations of scorers of live traces. They send and show what was said, so they have the resource of it."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import OnlineService as Service
else:
    Service = LazyService(__package__, "service", "OnlineService")

_PATH = "/deployments/{name}/online-scorers"
OPERATIONS = [
    Operation("GET", _PATH, Service.get_online_scorers),
    Operation("PUT", _PATH, Service.set_online_scorers, action="execute"),
    Operation("DELETE", _PATH, Service.delete_online_scorers, action="execute"),
    Operation("POST", f"{_PATH}/pause", Service.pause_online_scorers, action="execute"),
    Operation("POST", f"{_PATH}/resume", Service.resume_online_scorers, action="execute"),
]
