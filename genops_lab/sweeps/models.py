"""Wire types of sweeps. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from .space import Value

Method = Literal["grid", "random", "tpe", "repeat"]
Direction = Literal["minimize", "maximize"]
Objective = Literal["last", "best"]
Pruning = Literal["", "median", "hyperband"]
#: ``running`` also if the sweep's server has ended and no other one has taken it over yet (``Sweep.attended``).
SweepState = Literal["running", "stopping", "done", "stopped", "failed"]
TrialState = Literal["waiting", "starting", "running", "finished", "failed", "pruned", "stopped"]


class SetupCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that each fresh kernel runs before its trial. ``label`` is its name on the screen, such as ``[3]``."""

    source: str
    label: str = ""


class TrackedParts(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that the runs of trials record automatically, like the options of ``%%track``."""

    source: bool = True
    output: bool = True
    system_metrics: bool = True
    auto: bool = True
    autolog: bool = False
    log_models: bool = False


class NewSweep(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep to start.

    ``space`` has texts such as ``lr=loguniform(1e-4, 1e-1)``. ``on`` has kernelspecs or targets, each of which runs
    ``parallel`` trials at once; if it is empty, ``kernel_name`` is used. ``trials`` of 0 means the whole grid, or 20.
    ``timeout_s`` bounds a trial and ``hours`` the sweep; 0 means no limit. ``cwd`` is the folder of trials on this
    machine.
    """

    code: str
    space: list[str]
    setup: list[SetupCell] = []
    name: str = ""
    experiment: str = ""
    method: Method | Literal[""] = ""
    metric: str = ""
    direction: Direction = "minimize"
    objective: Objective = "last"
    trials: int = 0
    seed: int = 0
    parallel: int = 1
    on: list[str] = []
    prune: Pruning = ""
    timeout_s: float = 0.0
    hours: float = 0.0
    kernel_name: str = ""
    notebook: str = ""
    cwd: str = ""
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    track: TrackedParts = TrackedParts()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A trial. ``value`` is the latest or final objective; ``attempt`` counts its kernels, from 1."""

    number: int
    state: TrialState
    params: dict[str, Value]
    attempt: int = 1
    kernel_name: str = ""
    kernel_id: str = ""
    run_id: str = ""
    value: float | None = None
    message: str = ""
    started_at: float | None = None
    ended_at: float | None = None


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over repeats: its mean and the 95 % interval of the mean, if two or more values allow one."""

    metric: str
    n: int
    mean: float | None
    low: float | None = None
    high: float | None = None


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep and its trials; lists of sweeps leave out the trials. ``counts`` is the number of trials by state.

    ``best`` is a trial's number, ``best_value`` its objective. ``attended`` is whether a server runs the sweep.
    ``version`` grows with each change in this server.
    """

    id: str
    name: str
    state: SweepState
    method: Method
    metric: str
    direction: Direction
    objective: Objective
    planned: int
    parallel: int
    on: list[str]
    trials: list[Trial]
    setup: list[str] = []
    counts: dict[str, int] = {}
    best: int | None = None
    best_value: float | None = None
    summary: list[MetricSummary] = []
    message: str = ""
    hint: str = ""
    experiment: str = ""
    notebook: str = ""
    seed: int = 0
    prune: Pruning = ""
    attended: bool = True
    created_at: float = 0.0
    ended_at: float | None = None
    version: int = 0


class RepeatedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of runs that repeat each other."""

    run_ids: list[str]


class SweepQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Answer when the version differs from ``after``, the sweep has ended, or ``wait_s`` (at most 30) have passed."""

    after: int = -1
    wait_s: float = 0.0
