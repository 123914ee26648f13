"""Format amounts of money, by the same rule as the front end (``core/money.ts``)."""

from __future__ import annotations

from decimal import Decimal


def money_text(money: float, currency: str) -> str:
    """Return an amount with its currency, small ones with four digits.

    >>> money_text(0.00012346, "USD"), money_text(1e-06, "USD"), money_text(12345.678, "EUR")
    ('0.0001235 USD', '0.000001 USD', '12,345.68 EUR')
    """
    amount = f"{money:,.2f}" if money >= 1000 else f"{Decimal(f'{money:.4g}'):f}"
    return f"{amount} {currency}"
