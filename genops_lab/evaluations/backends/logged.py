"""Join predictions that a person computed with the ids and labels of their data set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from genops_lab.core.errors import InvalidRequest
from genops_lab.evaluations.predictions import Predictions, describe_ids, of_texts, of_values, refuse_double


def joined(given: dict[str, Any], roles: Predictions | None, about: dict[str, Any]) -> Predictions:
    """Return the predictions with their labels; those of a data set are joined by id."""
    ids = of_texts(given["ids"])
    if not len(ids):
        raise InvalidRequest("There are no predictions.", hint="Give ids and predictions, one a row.")
    if missing := sum(each is None for each in ids):
        raise InvalidRequest(f"{missing:,} predictions have no id.", hint="Give an id for each prediction.")
    latency = given.get("latency_s")
    made = Predictions(
        ids=ids,
        labels=of_values(given["labels"] if roles is None else [None] * len(ids)),
        predictions=of_values(given["predictions"]),
        scores={name: np.array(each, np.float64) for name, each in (given.get("scores") or {}).items()},
        groups={name: of_texts(each) for name, each in (given.get("groups") or {}).items()},
        latency_s=None if latency is None else np.array(latency, np.float64),
        about=about,
    )
    lengths = {"ids": len(ids), "labels": len(made.labels), "predictions": len(made.predictions)}
    lengths |= {f"scores of {name}": len(each) for name, each in made.scores.items()}
    lengths |= {f"groups {name}": len(each) for name, each in made.groups.items()}
    lengths |= {} if made.latency_s is None else {"latency_s": len(made.latency_s)}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {count:,}" for name, count in lengths.items())
        raise InvalidRequest(f"The lists must have one length: {counts}.", hint="Give one value a row.")
    refuse_double(ids, "the predictions")
    if roles is None:
        return made
    places = {each: at for at, each in enumerate(ids)}
    unknown = set(places) - set(roles.ids)
    if unknown:
        raise InvalidRequest(
            f"The data set does not have {describe_ids(sorted(unknown))}.",
            hint="Give the ids as the data set has them, or the labels yourself: labels=y.",
            code="unknown_ids",
        )
    at = np.array([places.get(each, -1) for each in roles.ids], np.int64)
    found = made.take(at)
    lost = at < 0
    found.predictions[lost] = None if found.predictions.dtype == object else np.nan
    for scores in found.scores.values():
        scores[lost] = np.nan
    if found.latency_s is not None:
        found.latency_s[lost] = np.nan
    return replace(found, ids=roles.ids, labels=roles.labels, groups={**roles.groups, **found.groups})
