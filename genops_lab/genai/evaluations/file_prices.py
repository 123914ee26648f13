"""Take prices of endpoints for models that an evaluation file gives none, and say which prices count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Price

from .evaluation_file import Evaluation, Model


def prices_of(endpoints: Sequence[Endpoint]) -> dict[str, Price | None]:
    """Return the prices of endpoints by their names."""
    return {each.name: each.price for each in endpoints}


def priced(
    file: Evaluation, models: Mapping[str, Price | None], judges: Mapping[str, Price | None]
) -> Evaluation:
    """Return a file whose models and judges have the prices of their endpoints where it says none."""

    def withprices_of(named: Mapping[str, Model], prices: Mapping[str, Price | None]) -> dict[str, Model]:
        return {
            label: msgspec.structs.replace(each, price=each.price or prices.get(label))
            for label, each in named.items()
        }

    return msgspec.structs.replace(
        file, models=withprices_of(file.models, models), judges=withprices_of(file.judges, judges)
    )


def price_notes(scorer: str, file: Evaluation) -> list[str]:
    """Say which prices a scorer of costs went by, and since when they are known."""
    found = []
    for label, price in ((label, each.price) for label, each in file.models.items()):
        if price is None:
            found.append(f"{scorer} has no score for {label}: its price is not known.")
        elif price.date:
            source = f" ({price.source})" if price.source not in ("", "given") else ""
            found.append(f"{scorer} counts {label} by its prices of {price.date}{source}.")
    return found
