"""Wire types of rollouts: what the judge in the gateway knows, and what people decide. Times in seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

RolloutPhase = Literal["running", "held", "promoted", "rolled back"]


class RolloutArm(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of one revision in this step, with latencies in milliseconds."""

    requests: int = 0
    failures: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


class RolloutMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric: the candidate's value less that of the revision before, or the ratio of both for the latency.

    The true value is between ``low`` and ``high``; None is not known. ``needed`` must be excluded for the next step,
    ``margin`` for all requests. An outcome is a part of its range, 0 the best.
    """

    name: str
    kind: Literal["difference", "ratio"]
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float
    needed: float
    passed: bool = False
    harm: bool = False
    says: str = ""


class RolloutShadow(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were copied to a shadow: equal and different answers, failures, and the time that they cost."""

    requests: int = 0
    equal: int = 0
    different: int = 0
    failed: int = 0
    seconds: float = 0.0


class RolloutPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A look: after ``s`` seconds, the low end, the estimate and the high end of each metric."""

    s: float
    traffic: float
    metrics: dict[str, list[float | None]]


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout. ``champion`` and ``candidate`` are revisions, ``arms`` theirs; ``step`` counts from 1.

    ``excluded`` says which effects are excluded so far, ``next`` what comes next, ``why`` why it is held or has ended.
    """

    id: str
    kind: str
    state: RolloutPhase
    unit: str = "request"
    champion: int = 0
    candidate: int = 0
    step: int = 0
    steps: list[float] = []
    traffic: float = 0.0
    elapsed_s: float = 0.0
    left_s: float = 0.0
    arms: list[RolloutArm] = []
    metrics: list[RolloutMetric] = []
    excluded: str = ""
    next: str = ""
    why: str = ""
    by: str = ""
    ended_at: float = 0.0
    shadow: RolloutShadow | None = None
    history: list[RolloutPoint] = []

    @property
    def ended(self) -> bool:
        """Whether one of both revisions has all requests."""
        return self.state in ("promoted", "rolled back")


class DecideRollout(msgspec.Struct, frozen=True, kw_only=True):
    """A person's decision. ``rollout`` is the id of the rollout that the person saw; empty: the present one."""

    decision: Literal["promote", "rollback", "hold", "continue"]
    rollout: str = ""


class NewFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome of a request that a deployment answered. ``deployment``: empty asks all that collect outcomes."""

    request_id: str
    name: str
    value: float
    deployment: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an outcome was counted, and why not."""

    counted: bool
    reason: str = ""


class RolloutOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """Sentences about what the traffic of a deployment can show by a policy."""

    requests_per_hour: float
    lines: list[str]
