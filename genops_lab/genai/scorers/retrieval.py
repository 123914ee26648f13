"""Score what was retrieved for an answer: hit, recall, precision, reciprocal rank and nDCG at k."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

from .base import Answered, NotScored, Rule, Score, column


class Retrieval(Rule, frozen=True, kw_only=True, tag="retrieval", tag_field="scorer"):
    """The first ``k`` documents that were retrieved have those that are relevant.

    - retrieved: the column with ids of documents, best first; ``answer`` true reads them from the answer, a JSON list.
    - relevant: the column with ids of relevant documents, or with a gain for each id.
    - measure: ``hit`` (one is there), ``recall``, ``precision``, ``mrr`` (1 by the first place) or ``ndcg``.

    An id that comes twice counts once. nDCG divides gains by log2(place + 1). Source: K. Järvelin and J.
    Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002).
    """

    measure: Literal["hit", "recall", "precision", "mrr", "ndcg"] = "ndcg"
    k: int = 10
    retrieved: str = "retrieved"
    relevant: str = "relevant"
    answer: bool = False

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError("k must be 1 or more")

    @property
    def label(self) -> str:
        """Return the name in the results, such as ``ndcg@10``."""
        return self.name or f"{self.measure}@{self.k}"

    def score(self, answered: Answered) -> Score:
        """Return the measure, 0 to 1. A row without relevant documents does not score."""
        relevant = _read(column(answered.row, self.relevant))
        gains = (
            {str(key): float(gain) for key, gain in relevant.items()}
            if isinstance(relevant, Mapping) else {str(key): 1.0 for key in _list(relevant, self.relevant)}
        )  # fmt: skip
        gains = {key: gain for key, gain in gains.items() if gain > 0}
        if not gains:
            raise NotScored("the row has no relevant document")
        given = answered.text if self.answer else column(answered.row, self.retrieved)
        ids = list(
            dict.fromkeys(map(str, _list(_read(given), "the answer" if self.answer else self.retrieved)))
        )[: self.k]
        places = [place for place, each in enumerate(ids, start=1) if each in gains]
        if self.measure == "hit":
            return Score(value=float(bool(places)))
        if self.measure == "recall":
            return Score(value=len(places) / len(gains))
        if self.measure == "precision":
            return Score(value=len(places) / self.k)
        if self.measure == "mrr":
            return Score(value=1 / places[0] if places else 0.0)
        total = sum(gains[ids[place - 1]] / math.log2(place + 1) for place in places)
        best = sorted(gains.values(), reverse=True)[: self.k]
        most = sum(gain / math.log2(place + 1) for place, gain in enumerate(best, start=1))
        return Score(value=total / most)


def _read(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return [each.strip() for each in value.split(",") if each.strip()]
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise NotScored(f"{name!r} is no list of ids")
    return [each["id"] if isinstance(each, Mapping) and "id" in each else each for each in value]
