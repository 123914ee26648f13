"""Check a request for a sweep and make its plan."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest

from .ledger import Plan
from .models import Method, NewSweep
from .space import Dimension, grid_size, read_space

if TYPE_CHECKING:
    from genops_lab.jobs.kernels import FreshKernels

DEFAULT_TRIALS = 20
MAX_TRIALS = 10_000
MAX_PARALLEL = 64
MAX_CODE = 4_000_000
_NEEDS_METRIC = "Name a metric that the cell logs with `genops.log`, such as --metric accuracy --maximize."


async def plan_of(body: NewSweep, kernels: FreshKernels) -> Plan:
    """Return the plan. Raises InvalidRequest, and NotFound for an unknown kernel."""
    if not body.code.strip():
        raise InvalidRequest("The sweep has no code.", hint="Give the code of a trial.")
    if len(body.code) + sum(len(one.source) for one in body.setup) > MAX_CODE:
        raise InvalidRequest(
            f"The code is longer than {MAX_CODE:,} characters.", hint="Move it into a module."
        )
    space = read_space(body.space)
    if not space:
        raise InvalidRequest(
            "The sweep has no values to try.", hint="Write lr=0.1,0.01 or lr=loguniform(1e-4, 1e-1)."
        )
    method: Method = body.method or _method(space, body)
    for amount, option in ((body.trials, "--trials"), (body.timeout_s, "--timeout"), (body.hours, "--hours")):
        if amount < 0:
            raise InvalidRequest(
                f"{option} is {amount:g}, below 0.", hint=f"Leave out {option} for no limit."
            )
    if method == "tpe" and not body.metric:
        raise InvalidRequest("The method tpe needs a metric.", hint=_NEEDS_METRIC)
    if body.prune and not body.metric:
        raise InvalidRequest("Pruning needs a metric.", hint=_NEEDS_METRIC)
    if method == "repeat" and [one.name for one in space] != ["seed"]:
        raise InvalidRequest("Repeats vary only the seed.", hint="Use --seeds 1,2,3.")
    planned = _planned(method, space, body.trials)
    if not 1 <= body.parallel <= MAX_PARALLEL:
        raise InvalidRequest(f"--parallel is {body.parallel}.", hint=f"Use 1 to {MAX_PARALLEL}.")
    on = [await kernels.name_of(name) for name in body.on or [body.kernel_name]]
    name = body.name or PurePath(body.notebook).stem or "sweep"
    return Plan(
        name=name[:200],
        experiment=body.experiment,
        method=method,
        space=space,
        metric=body.metric,
        direction=body.direction,
        objective=body.objective,
        planned=planned,
        parallel=body.parallel,
        on=list(dict.fromkeys(on)),
        slots=[each for each in on for _ in range(body.parallel)][:planned],
        seed=body.seed,
        prune=body.prune,
        timeout_s=body.timeout_s,
        hours=body.hours,
        notebook=body.notebook,
        cwd=body.cwd,
        setup=[one.label for one in body.setup],
        tags=body.tags,
        params=body.params,
        track=body.track,
    )


def _method(space: list[Dimension], body: NewSweep) -> Method:
    """Return grid if the values are finite and ``trials`` is not smaller, else tpe with a metric or random without."""
    if all(one.kind == "choice" for one in space) and (not body.trials or grid_size(space) <= body.trials):
        return "grid"
    return "tpe" if body.metric else "random"


def _planned(method: Method, space: list[Dimension], trials: int) -> int:
    if method in ("grid", "repeat"):
        size = grid_size(space)
        if size > MAX_TRIALS and not trials:
            raise InvalidRequest(
                f"The grid has {size:,} points.",
                hint=f"Limit the trials with --trials, at most {MAX_TRIALS:,}.",
            )
        planned = min(trials, size) if trials else size
    else:
        planned = trials or DEFAULT_TRIALS
    if planned > MAX_TRIALS:
        raise InvalidRequest(f"{planned:,} trials are too many.", hint=f"Use at most {MAX_TRIALS:,}.")
    return planned
