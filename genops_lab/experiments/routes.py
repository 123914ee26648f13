"""List the operations of experiments, runs and tracking."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import ANYONE, LazyService, Operation
from genops_lab.core.paging import paged

if TYPE_CHECKING:
    from .columns.service import RunTableService
    from .restoring.service import RestoringService
    from .service import ExperimentsService as Service
    from .tracking import TrackingService
else:
    RunTableService = LazyService(f"{__package__}.columns", "service", "RunTableService")
    Service = LazyService(__package__, "service", "ExperimentsService")
    RestoringService = LazyService(__package__, "restoring.service", "RestoringService")
    TrackingService = LazyService(__package__, "tracking", "TrackingService")

OPERATIONS = [
    paged("/experiments", Service.list_experiments),
    Operation("POST", "/experiments", Service.add_experiment, named=("id", "name")),
    Operation("GET", "/experiments/deleted", Service.list_deleted_experiments),
    Operation("POST", "/experiments/delete", Service.delete_experiment, named=("id", "name")),
    Operation("POST", "/experiments/undelete", Service.undelete_experiment, named=("id", "name")),
    Operation(
        "GET", "/runs", Service.list_runs, former=Operation("GET", "/runs", Service.list_runs_by_token)
    ),
    Operation("GET", "/runs/{run_id}", Service.get_run),
    Operation("GET", "/runs/{run_id}/metrics", Service.get_run_metrics),
    Operation("GET", "/runs/{run_id}/links", Service.get_run_links),
    Operation("GET", "/runs/{run_id}/media", Service.get_run_media),
    Operation("GET", "/runs/{run_id}/histograms", Service.get_run_histograms),
    Operation("GET", "/runs/{run_id}/latest", Service.get_latest_metrics),
    Operation("GET", "/runs/{run_id}/output", Service.get_run_output),
    Operation("GET", "/runs/{run_id}/notebook", RestoringService.restore_notebook),
    Operation("GET", "/runs/{run_id}/patch", RestoringService.get_patch),
    Operation("POST", "/runs/{run_id}/tags", RunTableService.tag_run),
    Operation("POST", "/run-comparison", Service.compare_runs, action="read"),
    Operation("POST", "/run-table", RunTableService.query_runs, action="read"),
    Operation("POST", "/run-table/search", RunTableService.search_runs, action="read"),
    Operation("POST", "/run-table/completions", RunTableService.complete_run_query, action="read"),
    Operation("GET", "/run-table/columns", RunTableService.list_run_columns),
    Operation("POST", "/run-table/tags", RunTableService.tag_runs),
    Operation("GET", "/run-table/state", RunTableService.get_runs_state),
    Operation("POST", "/run-table/statistics", RunTableService.analyze_runs),
    Operation("POST", "/run-table/delete", RunTableService.delete_runs),
    Operation("POST", "/run-table/undelete", RunTableService.undelete_runs),
    Operation("POST", "/run-charts/histories", Service.query_histories, action="read"),
    Operation("POST", "/run-charts/importance", Service.rank_parameters, action="read"),
    Operation("POST", "/mlflow-ui", Service.open_mlflow_ui, action="execute"),
    Operation("POST", "/tracking/events", TrackingService.track, audited=False, admits=ANYONE),
    Operation("POST", "/tracking/resume", TrackingService.resume, audited=False, admits=ANYONE),
    Operation("POST", "/tracking/models", TrackingService.remember_model, audited=False),
    Operation("POST", "/tracking/wake", TrackingService.wake, audited=False, admits=ANYONE),
    Operation("GET", "/tracking/kernel", TrackingService.kernel_tracking),
]
