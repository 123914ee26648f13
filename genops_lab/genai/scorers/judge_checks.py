"""Check a judge against people's labels: does it agree beyond chance, and does it prefer place, length or itself?

A judge's marks decide nothing before that: `problem` says why a gate must not turn green by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from genops_lab.statistics.agreement import cohens_kappa
from genops_lab.statistics.bounded import bounded_difference
from genops_lab.statistics.prediction_powered import LEAST_LABELS, prediction_powered_mean
from genops_lab.statistics.rates import binomial
from genops_lab.statistics.results import Result

from .base import BaseScorer, Judge, named_judge
from .judges import identity
from .programs import Mlflow

#: The lower end of kappa's interval: "moderate" agreement begins there. Source: J. R. Landis and G. G. Koch, "The
#: measurement of observer agreement for categorical data", Biometrics 33 (1977).
LEAST_KAPPA = 0.4
#: The preference, in parts of the scale, that a judge may have.
MOST_PREFERENCE = 0.1
#: The share of pairs in which a judge must choose the same answer in both orders.
LEAST_CONSISTENT = 0.75
_LEVEL = 0.05
_RULES_OF_MLFLOW = frozenset({"RegexMatch", "ResponseLength", "PIIDetection"})
_SEED = 21


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with the judge's mark and a person's label, both as values from 0 to 1.

    - chance: with which the answer was chosen to be labelled at random; None: it was chosen for another reason, such
      as a disagreement, and tells nothing about the rate of agreement.
    - model: that which answered. length: of the answer, in characters.
    """

    mark: float
    label: float
    chance: float | None
    model: str = ""
    length: int = 0


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A number of a check, with its interval at 95 %. ``problem``: what it says against the judge."""

    name: Literal["agreement", "position", "length", "self_preference"]
    value: float | None
    low: float | None
    high: float | None
    n: int
    problem: str = ""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a judge.

    - judge: its `identity`. Another rubric, model or setting makes another judge.
    - kappa: the value of the check "agreement". rate: the share of equal labels. base_rate: the share of the most
      common label of the people. By the last alone, a judge that always gives it agrees as often.
    """

    judge: str
    calibrated: bool
    labels: int
    checks: list[Checked]
    rate: float | None = None
    base_rate: float | None = None

    @property
    def verdict(self) -> str:
        """Return the verdict with its reasons, in a sentence."""
        if self.calibrated:
            kappa = next(each for each in self.checks if each.name == "agreement")
            interval = f"{kappa.low:.2f} to {kappa.high:.2f}"
            return f"Calibrated: agreement {kappa.value:.2f} ({interval}), {self.labels} labels."
        return "Not calibrated: " + "; ".join(each.problem for each in self.checks if each.problem) + "."


def check(
    judge: BaseScorer,
    marked: Sequence[Marked],
    *,
    consistent: Sequence[bool] = (),
    own_model: str = "",
    least_kappa: float = LEAST_KAPPA,
) -> Calibration:
    """Return what people's labels say about a judge.

    - consistent: for each pair that a pairwise judge saw in both orders, whether it chose the same answer.
    - own_model: the name of the model that judges, to test whether it prefers its own answers.

    Marks agree with labels that lie on the same part of a scale with the judge's steps; kappa has linear weights.
    Preferences are differences of mark less label: of the longer half of answers less the shorter, and of own
    answers less others'. A preference counts where it is shown (5 % for both together) and above 0.1 of the scale.
    """
    core = _evenly_chosen([each for each in marked if each.chance is not None])
    agreement, rate, base = _agreement(judge, core, least_kappa)
    checks = [agreement]
    if consistent:
        checks.append(_position(consistent))
    checks += _preferences(list(marked), own_model)
    return Calibration(
        judge=identity(judge), calibrated=not any(each.problem for each in checks), labels=len(core), checks=checks,
        rate=rate, base_rate=base,
    )  # fmt: skip


def problem(scorer: BaseScorer, known: Mapping[str, Calibration]) -> str:
    """Return why a gate must not turn green by a scorer; empty for rules and for judges that are calibrated.

    known: calibrations by the `identity` of their judge.
    """
    if not asks_a_model(scorer):
        return ""
    found = known.get(identity(scorer))
    if found is None:
        return (
            f"{named_judge(scorer.label)} is not calibrated: nobody labelled answers that it marked. "
            f"Label at least {LEAST_LABELS} answers chosen at random."
        )
    why = found.verdict.removeprefix("Not calibrated: ")
    return "" if found.calibrated else f"{named_judge(scorer.label)} is not calibrated: {why}"


def asks_a_model(scorer: BaseScorer) -> bool:
    """Return whether a model gives the marks: a judge, or one of MLflow's scorers that asks one.

    >>> asks_a_model(Mlflow(scorer_class="RegexMatch")), asks_a_model(Mlflow(scorer_class="Correctness"))
    (False, True)
    """
    return isinstance(scorer, Judge) or (
        isinstance(scorer, Mlflow) and scorer.scorer_class not in _RULES_OF_MLFLOW
    )


def corrected_mean(
    marks: Sequence[float],
    labels: Sequence[float | None],
    chances: Sequence[float],
    *,
    clusters: Sequence[str] | None = None,
    paired: bool = False,
) -> Result:
    """Return the mean label of all answers by prediction-powered inference: the judge's error is in the interval.

    marks, chances: of all answers; labels: None where nobody labelled. clusters: what belongs together.
    paired: all three are of the differences of two models, from -1 to 1. See `prediction_powered_mean`.
    """
    given = np.array([np.nan if each is None else each for each in labels], np.float64)
    return prediction_powered_mean(
        marks, given, chances, clusters=clusters, rng=np.random.default_rng(_SEED),
        bounds=(-1.0, 1.0) if paired else (0.0, 1.0),
    )  # fmt: skip


def _evenly_chosen(core: list[Marked]) -> list[Marked]:
    """Return answers that had one chance: of those with a larger one, a random part."""
    if not core:
        return []
    least = min(each.chance or 1.0 for each in core)
    drawn = np.random.default_rng(_SEED).random(len(core))
    return [each for each, at in zip(core, drawn, strict=True) if at * (each.chance or 1.0) <= least]


def _agreement(
    judge: BaseScorer, core: Sequence[Marked], least: float
) -> tuple[Checked, float | None, float | None]:
    steps = len(getattr(judge, "scale", "abc")) - 1
    one = [round(each.mark * steps) for each in core]
    other = [round(each.label * steps) for each in core]
    found = cohens_kappa(one, other, rng=np.random.default_rng(_SEED), weights="linear")
    base = max((other.count(label) / len(other) for label in set(other)), default=None)
    rate = found.rate.estimate
    kappa = found.kappa
    said = ""
    if len(core) < LEAST_LABELS:
        said = f"{len(core)} answers chosen at random have a label and a mark, and {LEAST_LABELS} are needed"
    elif kappa.estimate is None or kappa.low is None:
        said = "the judge or the people gave one mark to all answers, so agreement beyond chance is unknown"
    elif kappa.low < least:
        said = (
            f"it agrees with people {kappa.estimate:.2f} beyond chance ({kappa.low:.2f} to {kappa.high:.2f}), and the "
            f"lower end must reach {least:g}"
        )
        if rate is not None and base is not None and rate <= base:
            said += f"; it agrees on {rate:.0%}, and always the same mark would on {base:.0%}"
    return _checked("agreement", kappa, said), rate, base


def _position(consistent: Sequence[bool]) -> Checked:
    found = binomial(sum(consistent), len(consistent), null=LEAST_CONSISTENT, alternative="less")
    said = ""
    if found.estimate is not None and found.estimate < LEAST_CONSISTENT:
        said = f"it chose the same answer in both orders for {found.estimate:.0%} of {found.n} pairs only"
    return _checked("position", found, said)


def _preferences(marked: Sequence[Marked], own_model: str) -> list[Checked]:
    """Return the tests of length and of self-preference."""
    error = np.array([each.mark - each.label for each in marked])
    length = np.array([each.length for each in marked])
    halves: list[tuple[Any, npt.NDArray[np.bool_], str]] = []
    if len(marked) >= LEAST_LABELS and length.min() < length.max():
        longer = length > np.median(length)
        longer = longer if longer.any() else length == length.max()
        halves.append(("length", longer, "it marks long answers {:+.2f} beside short ones"))
    own = np.array([each.model == own_model for each in marked], bool)
    if own_model and own.any() and not own.all():
        halves.append(("self_preference", own, "it marks its own answers {:+.2f} beside others'"))
    found = []
    for name, part, said in halves:
        apart = bounded_difference(
            error[part], error[~part], bounds=(-1.0, 1.0), rng=np.random.default_rng(_SEED),
            confidence=1 - _LEVEL / len(halves),
        )  # fmt: skip
        assert apart.estimate is not None and apart.low is not None and apart.high is not None
        shown = not apart.low <= 0 <= apart.high and abs(apart.estimate) > MOST_PREFERENCE
        found.append(_checked(name, apart, said.format(apart.estimate) if shown else ""))
    return found


def _checked(name: Any, found: Result, said: str) -> Checked:
    return Checked(name=name, value=found.estimate, low=found.low, high=found.high, n=found.n, problem=said)
