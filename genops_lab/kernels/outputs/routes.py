"""The operations of outputs."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .service import OutputsService as Service
else:
    Service = LazyService(__package__, "service", "OutputsService")

OPERATIONS = [
    Operation("GET", "/kernels/{kernel_id}/executions", Service.list_executions),
    Operation(
        "POST", "/kernels/{kernel_id}/executions/{msg_id}/done", Service.execution_documented, audited=False
    ),
    Operation("GET", "/outputs/{kernel_id}/{msg_id}/text", Service.read_text),
    Operation("GET", "/outputs/{kernel_id}/{msg_id}/find", Service.find_text),
]
