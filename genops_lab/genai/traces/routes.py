"""The operations of traces. Those of ``CONTENT`` show what requests and answers said."""

from typing import TYPE_CHECKING

from genops_lab.core.operations import LazyService, Operation

if TYPE_CHECKING:
    from .deployments import DeploymentTracesService as OfDeployments
    from .service import TracesService as Service
else:
    OfDeployments = LazyService(__package__, "deployments", "DeploymentTracesService")
    Service = LazyService(__package__, "service", "TracesService")

OPERATIONS = [
    Operation("POST", "/traces/query", Service.query_traces, action="read"),
    Operation("GET", "/traces/columns", Service.list_trace_columns),
    Operation("POST", "/traces/completions", Service.complete_trace_query, action="read"),
    Operation("GET", "/traces/state", Service.get_traces_state),
    Operation("POST", "/traces/compare", Service.compare_traces, action="read"),
    Operation("POST", "/traces/session", Service.get_session, action="read"),
    Operation("GET", "/traces/{trace_id}", Service.get_trace),
    Operation("GET", "/deployments/{name}/traces", OfDeployments.get_deployment_traces),
    Operation("PUT", "/deployments/{name}/traces", OfDeployments.set_deployment_traces, action="execute"),
    Operation(
        "DELETE", "/deployments/{name}/traces", OfDeployments.delete_deployment_traces, action="execute"
    ),
]

CONTENT = [
    Operation("POST", "/trace-content/query", Service.query_trace_content, action="read"),
    Operation("POST", "/trace-content/session", Service.get_session_content, action="read"),
    Operation("GET", "/trace-content/new", Service.follow_traces),
    Operation("POST", "/trace-content/rows", Service.add_trace_rows),
    Operation("GET", "/trace-content/{trace_id}", Service.get_trace_content),
    Operation("GET", "/trace-content/{trace_id}/spans/{span_id}", Service.get_span_content),
]
