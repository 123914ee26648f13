"""Put the evaluations of two versions on the same rows beside each other."""

from __future__ import annotations

import numpy as np

from .metrics import by_group, compared, metrics_of
from .models import Evaluation, EvaluationReport
from .predictions import Predictions, describe_ids, join

#: From this number of versions on, the best of them is likely the luckiest.
MANY_VERSIONS = 10


def make_report(
    candidate: Predictions,
    champion: Predictions | None,
    evaluation: Evaluation,
    against: Evaluation | None,
) -> EvaluationReport:
    """Return the metrics of the candidate, and their differences to the champion on the rows that both have.

    Raises InvalidRequest if an id is there twice.
    """
    notes = _own_notes(candidate)
    one, other = candidate, champion
    whole = True
    if champion is not None:
        joined = join(candidate, champion)
        one, other = joined.one, joined.other
        for ids, version in [(joined.only_one, evaluation), (joined.only_other, against)]:
            if ids and version is not None:
                whole = False
                notes.append(
                    f"Only version {version.version} has {describe_ids(ids)}. These rows are not compared."
                )
        if not len(one):
            one, other, against = candidate, None, None
            notes.append("The two versions have no id in common, so they are not compared.")
        else:
            notes += _disagreement(one, other)
    same = whole and against is not None and against.session == evaluation.session
    return EvaluationReport(
        evaluation=evaluation,
        against=against,
        task=one.task,
        rows=len(one),
        metrics=compared(one, other, latency=same),
        groups=list(by_group(one, other)),
        notes=notes,
    )


def judged_note(judged: int) -> str:
    """Say how many versions a data set has judged, and what that means.

    >>> judged_note(14)
    'This data set has judged 14 versions; its verdicts grow optimistic.'
    """
    count = "1 version" if judged == 1 else f"{judged:,} versions"
    return f"This data set has judged {count}" + (
        "; its verdicts grow optimistic." if judged >= MANY_VERSIONS else "."
    )


def _own_notes(predictions: Predictions) -> list[str]:
    notes = []
    labelled, answered = predictions.labelled, predictions.answered
    if not labelled.any():
        notes.append("No row has a label, so there are no metrics.")
    elif not labelled.all():
        notes.append(f"{_rows(int((~labelled).sum()))} without a label: left out of the metrics.")
    if missing := int((~answered & labelled).sum()):
        counted = "counted as wrong" if metrics_of(predictions)[0].binary else "left out of the metrics"
        named = describe_ids(predictions.ids[~answered & labelled])
        notes.append(f"{_rows(missing)} without a prediction (null or NaN): {counted}. {named}.")
    return notes


def _disagreement(one: Predictions, other: Predictions | None) -> list[str]:
    if other is None or one.labels.dtype != other.labels.dtype:
        return []
    differ = np.asarray(one.labels != other.labels, np.bool_) & one.labelled & other.labelled
    if not differ.any():
        return []
    return [f"The labels of {describe_ids(one.ids[differ])} differ between the two evaluations."]


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
