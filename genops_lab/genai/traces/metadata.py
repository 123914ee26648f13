"""Name the metadata of MLflow's traces, and read the values of assessments."""

from __future__ import annotations

import json
import math

from genops_lab.runtime.traced_cells import CELL, NOTEBOOK

RUN, USER, MODEL = "mlflow.sourceRun", "mlflow.trace.user", "mlflow.modelId"
SOURCE, SIZES, SESSION = "mlflow.source.name", "mlflow.trace.sizeStats", "mlflow.trace.session"
USAGE, COST, TRACE_NAME = "mlflow.trace.tokenUsage", "mlflow.trace.cost", "mlflow.traceName"
#: The span of the application that called a deployment, where the call has a trace of its own: a tag and attributes.
CALLER_TRACE, CALLER_SPAN = "genops.caller_trace", "genops.caller_span"
#: Metadata that become attributes. All others of MLflow's own are left out, those of applications are ``params``.
OF_ATTRIBUTES = {
    RUN: "run_id",
    USER: "user",
    MODEL: "model_id",
    SOURCE: "source",
    NOTEBOOK: "notebook",
    CELL: "cell",
}


def value_of(text: str) -> float | str | None:
    """Return an assessment's JSON value as a number or a text; a judge's yes and no are 1 and 0, as in MLflow.

    >>> value_of("true"), value_of('"No"'), value_of('"billing"'), value_of("null")
    (1.0, 0.0, 'billing', None)
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text or None
    if isinstance(value, bool | int | float):
        return float(value) if abs(value) < math.inf or isinstance(value, float) else None
    if isinstance(value, str):
        return {"yes": 1.0, "no": 0.0}.get(value.casefold(), value or None)
    return None if value is None else text
