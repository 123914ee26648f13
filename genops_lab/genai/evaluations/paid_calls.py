"""Sentences about calls that may be paid for though no answer of them counts."""

from __future__ import annotations

from genops_lab.runtime.money import money_text

from .models import ModelAnswers


def paid_calls(model: ModelAnswers) -> list[str]:
    """Return what calls used that were made again, or that ended without an answer."""
    found = []
    if model.repeated:
        money = model.repeated_money
        cost = "" if money is None else f" and cost up to {money_text(money, model.currency, 'most')}"
        found.append(
            f"{model.model}: {model.repeated:,} calls were in flight when a process ended, and were made again. "
            f"They may have used up to {model.repeated_tokens:,} tokens{cost}."
        )
    if model.unanswered_tokens:
        found.append(
            f"{model.model}: calls that ended without an answer may have used up to {model.unanswered_tokens:,} "
            "tokens. They count in full."
        )
    return found
