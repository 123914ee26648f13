"""Track a training run: ``genops.log({"loss": loss}, step=i)``. Works in notebooks and in plain scripts."""

from genops_lab.kernel.api import (
    GenOpsError,
    Run,
    dataset,
    deployment,
    end,
    log,
    log_file,
    log_text,
    params,
    predict,
    profile,
    run,
    start,
    tag,
)

__all__ = [
    "GenOpsError",
    "Run",
    "dataset",
    "deployment",
    "end",
    "log",
    "log_file",
    "log_text",
    "params",
    "predict",
    "profile",
    "run",
    "start",
    "tag",
]
