"""Show answers blind: each rater has an order of their own, and sees no name of a model in the choices of a pair."""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from .models import LabelQuestion

#: The labels of pairs in MLflow, and the choices that raters see for them.
PAIR = ["worse than the first model's", "equal", "better than the first model's"]
_SHOWN = ["first answer", "equal", "second answer"]


def order_key(*parts: str) -> str:
    """Return a key to sort by that seems random, and is the same each time."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_pair(question: LabelQuestion | None) -> bool:
    """Return whether a question compares two answers."""
    return question is not None and question.pairs


def asked_of_raters(question: LabelQuestion) -> LabelQuestion:
    """Return a question as raters see it."""
    return replace(question, choices=_SHOWN) if question.pairs else question


def is_swapped(queue_id: str, rater: str, trace: str) -> bool:
    """Return whether a rater sees the first model's answer first. A reload keeps the order."""
    return int(order_key("order", queue_id, rater, trace)[0], 16) % 2 == 1


def kept_label(question: LabelQuestion, label: str, queue_id: str, rater: str, trace: str) -> str:
    """Return a rater's choice as it is kept: whether the answer is better than the first model's."""
    if not question.pairs or label not in _SHOWN:
        return label
    place = _SHOWN.index(label)
    return PAIR[place if is_swapped(queue_id, rater, trace) else 2 - place]


def shown_label(question: LabelQuestion, label: str, queue_id: str, rater: str, trace: str) -> str:
    """Return a kept label as its rater chose it."""
    if not question.pairs or label not in PAIR:
        return label
    place = PAIR.index(label)
    return _SHOWN[place if is_swapped(queue_id, rater, trace) else 2 - place]
