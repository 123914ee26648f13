"""Declare the operations of evaluations."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import ANYONE, LazyService, Operation

if TYPE_CHECKING:
    from .service import EvaluationsService as Service
else:
    Service = LazyService(__package__, "service", "EvaluationsService")

OPERATIONS = [
    Operation("POST", "/evaluations", Service.evaluate, action="execute", named=("model", "version")),
    Operation("GET", "/evaluations", Service.list_evaluations),
    # It reads files of this machine by their paths, as the evaluation does.
    Operation("POST", "/evaluations/predictions", Service.log_predictions, action="execute", admits=ANYONE),
    Operation("GET", "/evaluations/{run_id}", Service.get_evaluation),
    Operation("GET", "/models/{name}/versions/{version}/evaluations", Service.list_version_evaluations),
]
