"""Keep to an endpoint's limits by minute, and never pass a budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of an endpoint. ``tokens`` and ``money`` are for a whole evaluation, resumed ones too."""

    at_once: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    tokens: int | None = None
    money: float | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices of a million tokens. Cached input tokens cost ``cached_input`` where it is given, else ``input``."""

    input: float
    output: float
    cached_input: float | None = None

    def of(self, usage: Usage) -> float:
        """Return the price of a call.

        >>> Price(input=1.0, output=10.0).of(Usage(input=1_000_000, output=100_000))
        2.0
        """
        cached = self.input if self.cached_input is None else self.cached_input
        plain = usage.input - usage.cached_input
        return (plain * self.input + usage.cached_input * cached + usage.output * self.output) / 1e6


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a call. ``output`` includes ``reasoning``, ``input`` includes ``cached_input``."""

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0

    @property
    def total(self) -> int:
        """Return all tokens."""
        return self.input + self.output


class BudgetReached(Exception):
    """The next call could pass the budget of the evaluation."""


class Budget:
    """Tokens and money of an evaluation: reserved before each call, so that the sum cannot pass the limit.

    >>> budget = Budget(Limits(tokens=100), None)
    >>> call = budget.reserve(Usage(input=20, output=60))
    >>> budget.settle(call, Usage(input=20, output=5))
    >>> budget.spent.total
    25
    """

    def __init__(self, limits: Limits, price: Price | None, spent: Usage | None = None) -> None:
        self._limits, self._price = limits, price
        self.spent = spent or Usage()
        self._reserved = Usage()

    def reserve(self, most: Usage) -> Usage:
        """Set aside what a call may use. Raises BudgetReached."""
        after = _sum(_sum(self.spent, self._reserved), most)
        if self._limits.tokens is not None and after.total > self._limits.tokens:
            raise BudgetReached(f"{self._limits.tokens:,} tokens")
        if self._limits.money is not None and self._price and self._price.of(after) > self._limits.money:
            raise BudgetReached(f"{self._limits.money:g} (money)")
        self._reserved = _sum(self._reserved, most)
        return most

    def settle(self, reserved: Usage, used: Usage) -> None:
        """Count what a call has used, in place of what was set aside for it."""
        self._reserved = _sum(self._reserved, reserved, -1)
        self.spent = _sum(self.spent, used)

    @property
    def money(self) -> float | None:
        """Return what was spent; None without a price."""
        return None if self._price is None else self._price.of(self.spent)


class Pace:
    """Spread calls over time, so that no minute has more than ``per_minute`` of what is counted."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_s = None if per_minute is None else 60.0 / per_minute
        self._clock = clock
        self._free_at = 0.0

    async def take(self, amount: float = 1.0) -> None:
        """Wait for the turn of ``amount``."""
        if self._each_s is None:
            return
        now = self._clock()
        at = max(now, self._free_at)
        self._free_at = at + amount * self._each_s
        if at > now:
            await asyncio.sleep(at - now)

    def give_back(self, amount: float) -> None:
        """Give back what a call did not use."""
        if self._each_s is not None:
            self._free_at -= amount * self._each_s


def _sum(one: Usage, other: Usage, sign: int = 1) -> Usage:
    return Usage(
        input=one.input + sign * other.input,
        output=one.output + sign * other.output,
        cached_input=one.cached_input + sign * other.cached_input,
        reasoning=one.reasoning + sign * other.reasoning,
    )
