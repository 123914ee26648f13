"""Wire types of scorers that look at live traces. Times in seconds since 1970."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from genops_lab.genai.evaluations.models import ScoreEstimate

OnlineState = Literal["off", "on", "paused"]


class NewOnlineScorers(msgspec.Struct, frozen=True, kw_only=True):
    """Score a sample of a deployment's traces from now on.

    - text: YAML with the lists ``scorers`` and ``judges``, as an evaluation file has them.
    - name: what errors call the file.
    - folder: the absolute path of the folder of files that scorers name, on the Lab's machine.
    - sample: the share of the deployment's traces, more than 0 to 1.
    - money_per_day: the most that judges may cost in a day (UTC), in the currency of their prices; None: no limit.
    - record: where no request becomes a trace, make traces of this share of the requests, and score all of these.
    """

    text: str
    name: str = "scorers.yaml"
    folder: str = ""
    sample: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    money_per_day: Annotated[float, msgspec.Meta(gt=0)] | None = None
    record: bool = False


class OnlineScorer(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one scorer so far.

    - judge: the name of the model that judges; empty for a rule.
    - waiting: sampled traces that have no score yet.
    - left_out: traces that landed after the day's budget was used. They are never scored.
    - reasons: why traces are not scored, with their numbers, the most frequent first.
    - mean: of the newest 20,000 scores, with its interval at 95 %.
    - calibration: what is known about a judge's agreement with people; empty for a rule.
    - money: what the judge cost so far; None without a price, or for a rule. ``tokens``: of all its calls.
    - problem: why traces wait.
    """

    scorer: str
    judge: str = ""
    scored: int = 0
    not_scored: int = 0
    waiting: int = 0
    left_out: int = 0
    reasons: dict[str, int] = {}
    mean: ScoreEstimate | None = None
    calibration: str = ""
    calibrated: bool | None = None
    money: float | None = None
    tokens: int = 0
    problem: str = ""


class OnlineScorers(msgspec.Struct, frozen=True, kw_only=True):
    """Which scorers look at which of a deployment's traces, and what they found.

    - seen: traces that landed since ``since``; ``sampled``: those in the sample.
    - sample: the share of traces. A trace's id decides, so a trace is always in the sample or never.
    - traced: the share of the deployment's requests that become traces; 0: no request does.
    - money_today, money: what judges cost this day (UTC) and since ``since``; None where no judge has a price.
    - budget_used: the day's budget is used, and judges wait for the next day.
    - sentences: what a reader must know, in plain words.
    """

    deployment: str
    state: OnlineState
    since: float = 0.0
    sample: float = 0.0
    traced: float = 0.0
    seen: int = 0
    sampled: int = 0
    money_per_day: float | None = None
    money_today: float | None = None
    money: float | None = None
    currency: str = ""
    budget_used: bool = False
    scorers: list[OnlineScorer] = []
    sentences: list[str] = []
