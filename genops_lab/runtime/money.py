"""Format amounts of money, by the same rule as the front end (``core/money.ts``)."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

#: Amounts below 1 have four decimals, others two.
_SMALL, _LARGE = Decimal("0.0001"), Decimal("0.01")


def money_text(money: float, currency: str, kind: str = "spent") -> str:
    """Return an amount with its currency.

    - spent: rounded to four decimals below 1, to two above.
    - most: an upper bound, rounded up to as many.
    - given: what a person wrote, or the price of a small unit, with four digits.

    >>> money_text(6.84e-05, "USD"), money_text(1e-06, "USD"), money_text(0.09053, "USD")
    ('0.0001 USD', '< 0.0001 USD', '0.0905 USD')

    >>> money_text(12345.678, "EUR"), money_text(0.09053, "EUR", "most"), money_text(1.2e-06, "EUR", "given")
    ('12,345.68 EUR', '0.0906 EUR', '0.0000012 EUR')
    """
    if kind == "given" and money < 1000:
        return f"{Decimal(f'{money:.4g}'):f} {currency}"
    step = _SMALL if money < 1 else _LARGE
    if kind == "most":  # ten digits: what a float adds to a sum is not rounded up
        amount = Decimal(f"{money:.10g}").quantize(step, ROUND_CEILING)
    else:
        amount = Decimal(money).quantize(step, ROUND_HALF_UP)
    if money > 0 and amount == 0:
        return f"< {_SMALL} {currency}"
    text = f"{amount:,f}"
    return f"{text if money >= 1000 else text.rstrip('0').rstrip('.')} {currency}"
