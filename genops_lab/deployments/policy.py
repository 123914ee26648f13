"""The policy of a rollout: how a new version gets the requests of the one before, and by which margins it is judged."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from genops_lab.core.errors import InvalidRequest

RolloutKind = Literal["replace", "blue-green", "canary", "a/b", "shadow"]
#: Percent of the requests in the steps of a canary without steps of its own.
CANARY = (1.0, 10.0, 50.0, 100.0)
_TIMES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?) ?([smhd])")
_MOST_STEPS, _MOST_OUTCOMES = 20, 8


class RolloutStep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step: ``traffic`` in percent, then at least so many ``requests`` of the candidate and so long a time."""

    traffic: float
    requests: int = 20
    time: str = "0s"


class RolloutLatency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The margin of the latency: a ``quantile`` of the candidate is at most ``ratio`` times that of the one before."""

    quantile: float = 0.95
    ratio: float = 1.2


class RolloutOutcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value from ``low`` to ``high`` that callers send back. Its mean may be worse by ``margin`` at most."""

    name: str
    margin: float
    low: float = 0.0
    high: float = 1.0
    better: Literal["higher", "lower"] = "higher"


class RolloutPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a version gets the requests of the one before.

    ``failures`` is the margin of the share of failed requests, such as 0.01 for a point. Without ``latency`` no times
    are judged. ``unit`` is what is given to a revision by chance, and counted once. ``alpha`` is the largest chance
    that a version that is no worse is rolled back. ``lasts`` is the most time; then ``used_up`` happens. ``share`` is
    the percentage of requests that are copied to a shadow. Requests in the first ``warm_up`` of a step are not judged.
    After its last step the judge watches a canary for the time ``watch``; the revision before keeps 5 % meanwhile.
    """

    kind: RolloutKind = "canary"
    steps: list[RolloutStep] = []
    unit: Literal["request", "key", "header"] = "request"
    header: str = ""
    alpha: float = 0.01
    failures: float = 0.01
    latency: RolloutLatency | None = RolloutLatency()
    outcomes: list[RolloutOutcome] = []
    lasts: str = "24h"
    used_up: Literal["hold", "rollback"] = "hold"
    share: float = 10.0
    warm_up: str = "10s"
    watch: str = "1h"

    @property
    def all_steps(self) -> list[RolloutStep]:
        """The steps, also of a policy without any of its own."""
        if self.kind == "canary":
            return self.steps or [RolloutStep(traffic=each) for each in CANARY]
        if self.kind == "a/b":
            return self.steps or [RolloutStep(traffic=50.0)]
        return []

    @property
    def judged(self) -> bool:
        """Whether the gateway has something to do: all but ``replace``."""
        return self.kind != "replace"


def named_policy(kind: str) -> RolloutPolicy:
    """Return the policy of a kind without a file. Raises InvalidRequest.

    >>> [each.traffic for each in named_policy("canary").all_steps]
    [1.0, 10.0, 50.0, 100.0]
    """
    return decode_policy({"kind": kind})


def read_policy(text: str, where: str) -> RolloutPolicy:
    """Return the policy of a YAML text. Raises InvalidRequest, which names the field."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise InvalidRequest(
            f"{where} is no YAML: line {line}.", hint="See docs/users/rollouts.md."
        ) from error
    return decode_policy(found, where)


def decode_policy(given: Any, where: str = "the rollout") -> RolloutPolicy:
    """Return the policy of decoded JSON or YAML. Raises InvalidRequest."""
    try:
        policy = msgspec.convert(given, RolloutPolicy)
    except msgspec.ValidationError as error:
        raise _wrong(f"{error}".replace("Object", where, 1)) from error
    check_policy(policy)
    return policy


def check_policy(policy: RolloutPolicy) -> None:
    """Raise InvalidRequest for values that make no rollout."""
    steps = [each.traffic for each in policy.all_steps]
    if any(not 0 < each <= 100 for each in steps) or steps != sorted(set(steps)):
        raise _wrong("The traffic of steps rises, from more than 0 to 100 percent.")
    if len(steps) > _MOST_STEPS or len(policy.outcomes) > _MOST_OUTCOMES:
        raise _wrong(f"A rollout has at most {_MOST_STEPS} steps and {_MOST_OUTCOMES} outcomes.")
    if policy.kind in ("canary", "a/b") and steps[0] == 100:
        raise _wrong(
            "A step with 100 percent alone compares nothing.", "Use --rollout replace, or add a step before."
        )
    if policy.unit == "header" and not re.fullmatch(r"[A-Za-z0-9-]{1,64}", policy.header):
        raise _wrong("The unit is a header, and no header is named.", "Add header: X-User, for example.")
    if not 0 < policy.alpha <= 0.2:
        raise _wrong(f"alpha is {policy.alpha:g}; it is more than 0 and at most 0.2.")
    if not 0 < policy.failures < 1:
        raise _wrong(f"failures is {policy.failures:g}; it is a share between 0 and 1, such as 0.01.")
    if policy.latency is not None and (policy.latency.ratio <= 1 or not 0 < policy.latency.quantile < 1):
        raise _wrong("latency has a ratio above 1 and a quantile between 0 and 1.")
    for each in policy.outcomes:
        if each.low >= each.high or not 0 < each.margin < each.high - each.low:
            raise _wrong(f"The outcome {each.name!r} has low below high, and a margin within them.")
    if len({each.name for each in policy.outcomes}) < len(policy.outcomes):
        raise _wrong("Two outcomes have the same name.")
    if not 0 < policy.share <= 100:
        raise _wrong(f"share is {policy.share:g}; it is more than 0 and at most 100 percent.")
    if seconds(policy.lasts) <= 0:
        raise _wrong("lasts is more than 0.")
    for text in (policy.warm_up, policy.watch, *(each.time for each in policy.all_steps)):
        seconds(text)


def seconds(text: str) -> float:
    """Return the seconds of a time such as ``30m``. Raises InvalidRequest.

    >>> seconds("1.5h")
    5400.0
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise _wrong(f"{text[:40]!r} is no time.", "Write a number with s, m, h or d, such as 30m.")
    return float(found[1]) * _TIMES[found[2]]


def for_gateway(
    policy: RolloutPolicy, *, id: str, name: str, champion: int, candidate: int
) -> dict[str, Any]:
    """Return the rollout as the gateway reads it (``serving/gateway/rollout.py``)."""
    latency = policy.latency
    return {
        "id": id,
        "name": name,
        "champion": champion,
        "candidate": candidate,
        "kind": policy.kind,
        "steps": [
            {"traffic": each.traffic, "requests": each.requests, "seconds": seconds(each.time)}
            for each in policy.all_steps
        ],
        "unit": policy.unit,
        "header": policy.header,
        "alpha": policy.alpha,
        "failures": policy.failures,
        "quantile": latency.quantile if latency else 0.95,
        "ratio": latency.ratio if latency else 0.0,
        "outcomes": msgspec.to_builtins(policy.outcomes),
        "lasts_s": seconds(policy.lasts),
        "used_up": policy.used_up,
        "warm_up_s": seconds(policy.warm_up),
        "watch_s": seconds(policy.watch),
        "promotes": policy.kind == "canary",
        "share": policy.share if policy.kind == "shadow" else 0.0,
    }


def _wrong(message: str, hint: str = "The fields are in docs/users/rollouts.md.") -> InvalidRequest:
    return InvalidRequest(message, hint=hint)
