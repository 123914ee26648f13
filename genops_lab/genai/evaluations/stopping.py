"""Ask rows in a random order, and stop when the differences of the models are known.

The intervals are confidence sequences: they hold at each look, so stopping early claims nothing by chance. Each
comparison (a model with the first, by a scorer) has its part of the level.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .models import AskedUntilKnown, ModelAnswers

if TYPE_CHECKING:
    from .report import Question, Scores

#: Rows before the first look; then a look each time that a quarter more rows are there.
_FIRST, _STEP, _GROWTH = 40, 20, 1.25


def random_order(ids: Sequence[str], clusters: Mapping[str, str]) -> list[str]:
    """Return ids in a random order; those of a cluster follow each other.

    >>> sorted(random_order(["a", "b", "c"], {}))
    ['a', 'b', 'c']
    """
    chance = random.SystemRandom()
    together: dict[str, list[str]] = {}
    for id in ids:
        together.setdefault(clusters.get(id, id), []).append(id)
    labels = list(together)
    chance.shuffle(labels)
    return [id for label in labels for id in together[label]]


def looks(order: Sequence[str], clusters: Mapping[str, str]) -> Iterator[int]:
    """Yield how many rows there are at each look; the last has all. A look is at the end of a cluster.

    >>> list(looks([str(at) for at in range(100)], {}))
    [40, 60, 80, 100]
    """
    at = 0
    while at < len(order):
        at = min(len(order), max(_FIRST, at + _STEP, int(at * _GROWTH)))
        while at < len(order) and order[at] in clusters and clusters[order[at]] == clusters[order[at - 1]]:
            at += 1
        yield at


def unknown_models(scores: Scores, question: Question) -> list[str]:
    """Return the models with a difference that is not known yet, by a scorer with bounds."""
    from .report import compared  # numpy

    bounded = {name: marks for name, marks in scores.items() if question.scorers[name].bounds is not None}
    found = compared(bounded, replace(question, slices={}, labels={}))
    return list(dict.fromkeys(each.model for each in found if each.verdict == "within chance"))


def asked_until_known(
    models: Sequence[ModelAnswers],
    asked: int,
    of: int,
    repeats: int,
    *,
    known: bool,
    finite: bool,
) -> AskedUntilKnown:
    """Return how far an evaluation came. ``asked``: rows of the first model, which is asked the most."""
    spared, money = 0, 0.0
    currencies = {each.currency for each in models if each.money is not None}
    is_priced = len(currencies) == 1
    for each in models:
        left = of * repeats - each.wanted
        spared += left
        if each.money is None or not each.answered:
            is_priced = is_priced and not left
        else:
            money += left * each.money / each.answered
    return AskedUntilKnown(
        examples=asked, of=of, known=known, spared=spared, spared_money=money if is_priced else None,
        currency=min(currencies, default="USD"), finite=finite,
    )  # fmt: skip
