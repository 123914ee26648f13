"""The content of ``gates.yaml``: what a version must show before it is promoted."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import Meta, Struct

#: Metrics that are computed from predictions, row by row or of all rows.
Metric = Literal["accuracy", "auc", "brier", "error_rate", "f1", "log_loss", "mae", "mse", "rmse"]
Measure = Literal["accuracy", "demographic_parity", "equal_opportunity", "equalized_odds"]
Label = bool | int | float | str

Text = Annotated[str, Meta(min_length=1, max_length=500)]
Alpha = Annotated[float, Meta(gt=0, lt=0.5)]
Margin = Annotated[float, Meta(ge=0)]
MIN_SIZE = 30


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule"):
    """A rule. ``name`` replaces the name that GenOps Lab gives it in reports."""

    name: str = ""

    def __post_init__(self) -> None:
        for field in self.__struct_fields__:
            value = getattr(self, field)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"The key {field!r} must be a finite number, not {value}.")

    def _one_of(self, *fields: str) -> None:
        if sum(getattr(self, field) is not None for field in fields) != 1:
            keys = " or ".join(repr(field) for field in fields)
            raise ValueError(f"This rule needs either {keys}.")


class DataRule(Rule, frozen=True, kw_only=True):
    """A rule about predictions. ``data`` replaces that of the file; ``alpha`` is the risk of a false pass."""

    alpha: Alpha = 0.05
    data: str = ""


class MetricRule(DataRule, frozen=True, kw_only=True):
    """A rule about a metric. ``cluster``: the group whose rows depend on each other, such as ``user``."""

    cluster: str = ""


class Bound(MetricRule, frozen=True, kw_only=True, tag="bound"):
    """A metric of the candidate is at least, or at most, a bound; else a metric that its run recorded."""

    metric: Text
    at_least: float | None = None
    at_most: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("at_least", "at_most")


class Better(MetricRule, frozen=True, kw_only=True, tag="better"):
    """The candidate is better than the other version by more than ``margin``, on the same rows."""

    metric: Metric
    margin: Margin = 0.0


class NotWorse(MetricRule, frozen=True, kw_only=True, tag="not-worse"):
    """The candidate is not worse than the other version by ``margin`` or more, on the same rows."""

    metric: Metric
    margin: Annotated[float, Meta(gt=0)]


class BetterInAny(MetricRule, frozen=True, kw_only=True, tag="better-in-any"):
    """The candidate is better in at least one metric, corrected by Holm for the number of metrics."""

    metrics: Annotated[list[Metric], Meta(min_length=1, max_length=8)]
    margin: Margin = 0.0


class NoHarm(MetricRule, frozen=True, kw_only=True, tag="no-harm"):
    """The candidate is shown to be worse in no group, corrected by Holm for the number of groups."""

    metric: Metric
    group: Text
    smallest: Annotated[int, Meta(ge=2)] = MIN_SIZE


class WorseForNobody(MetricRule, frozen=True, kw_only=True, tag="worse-for-nobody"):
    """The candidate is shown not to be worse by ``margin`` or more in each group of at least ``smallest`` rows."""

    metric: Metric
    group: Text
    margin: Annotated[float, Meta(gt=0)]
    smallest: Annotated[int, Meta(ge=2)] = MIN_SIZE


class Fairness(DataRule, frozen=True, kw_only=True, tag="fairness"):
    """A rate differs by at most ``at_most`` between groups; ``positive`` is the label that is an advantage."""

    measure: Measure
    group: Text
    at_most: Annotated[float, Meta(gt=0, le=1)]
    positive: Label = 1
    smallest: Annotated[int, Meta(ge=2)] = MIN_SIZE


class Latency(DataRule, frozen=True, kw_only=True, tag="latency"):
    """A quantile of the seconds per row has a bound, or a bound in times of the other version's."""

    quantile: Annotated[float, Meta(gt=0, lt=1)] = 0.95
    at_most_s: Annotated[float, Meta(gt=0)] | None = None
    at_most_ratio: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("at_most_s", "at_most_ratio")


class Size(Rule, frozen=True, kw_only=True, tag="size"):
    """The files have a bound in MB, or in times of the other version's size."""

    at_most_mb: Annotated[float, Meta(gt=0)] | None = None
    at_most_ratio: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._one_of("at_most_mb", "at_most_ratio")


class Signature(Rule, frozen=True, kw_only=True, tag="signature"):
    """Programs that call the other version can call the candidate."""


class Formats(Rule, frozen=True, kw_only=True, tag="formats"):
    """Loading the files runs no code, and the weights have one of the formats (all, if the list is empty)."""

    allowed: list[Text] = []


class Licence(Rule, frozen=True, kw_only=True, tag="licence"):
    """The licence is one of those listed."""

    allowed: Annotated[list[Text], Meta(min_length=1)]


class Signed(Rule, frozen=True, kw_only=True, tag="signed"):
    """The files are signed with the public key in the file ``key``, beside the gate file."""

    key: Text


class Drift(Rule, frozen=True, kw_only=True, tag="drift"):
    """No column of the training data moved by more than ``at_most`` (0 to 1) from other data.

    - against: ``champion``, the training data of the other version, or ``data``, the evaluation data.
    - data: the name of the evaluation data, if it is not that of the file.
    - columns: those that count; all, if the list is empty.
    - alpha: the risk of a false pass.
    """

    at_most: Annotated[float, Meta(gt=0, lt=1)]
    against: Literal["champion", "data"] = "champion"
    columns: Annotated[list[Text], Meta(max_length=1000)] = []
    data: str = ""
    alpha: Alpha = 0.05


class Command(Rule, frozen=True, kw_only=True, tag="command"):
    """A program ends with exit code 0 within ``limit_s`` seconds. It runs in the folder of the gate file."""

    run: Annotated[list[Text], Meta(min_length=1, max_length=100)]
    limit_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0


class Approval(Rule, frozen=True, kw_only=True, tag="approval"):
    """Somebody other than the person who trained the model asks; ``by`` lists who may (all, if it is empty)."""

    by: list[Text] = []


AnyRule = (
    Bound
    | Better
    | NotWorse
    | BetterInAny
    | NoHarm
    | WorseForNobody
    | Fairness
    | Latency
    | Size
    | Signature
    | Formats
    | Licence
    | Signed
    | Drift
    | Command
    | Approval
)


class Deploy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Demands of a deployment. ``signed``: the file of the public key that must have signed the files."""

    signed: str = ""


class Gates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gate file.

    - data: the evaluation data, NAME or NAME@DIGEST.
    - against: the version to compare with, an alias or a number.
    - looks: how often the same pair may be judged on this data; the looks share each alpha.
    - fixed_before: ``compared`` refuses a file that changed since the run began; ``required`` also refuses an
      unknown one.
    - positive: the label that auc and f1 call positive.
    - deploy: demands of a deployment.
    """

    kind: Literal["Gates"]
    rules: Annotated[list[AnyRule], Meta(min_length=1, max_length=100)]
    data: str = ""
    model: str = ""
    against: Text = "champion"
    looks: Annotated[int, Meta(ge=1, le=20)] = 1
    fixed_before: Literal["compared", "required"] = "compared"
    positive: Label = 1
    deploy: Deploy = Deploy()

    def __post_init__(self) -> None:
        for at, rule in enumerate(self.rules):
            needs = isinstance(rule, DataRule) or (isinstance(rule, Drift) and rule.against == "data")
            if needs and not (getattr(rule, "data", "") or self.data):
                raise ValueError(f"Rule {at + 1} needs evaluation data: add the key 'data'.")
