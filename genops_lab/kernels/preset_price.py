"""Read the price of a preset from the metadata of its kernelspec."""

from __future__ import annotations

from typing import Any


def price_in(metadata: Any) -> float | None:
    """Return the price in USD an hour; None for a kernelspec of no preset, or without a price."""
    genops = metadata.get("genops") if isinstance(metadata, dict) else None
    price = genops.get("price_per_hour") if isinstance(genops, dict) else None
    return float(price) if isinstance(price, int | float) else None
