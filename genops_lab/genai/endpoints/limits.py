"""Say what an endpoint's limits and prices are, and never pass a budget."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from genops_lab.runtime.money import money_text

Tokens = TypeVar("Tokens", bound="Usage")
AtLeast1 = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of an endpoint. ``tokens`` and ``money`` are for a whole evaluation, resumed ones too."""

    at_once: AtLeast1 = 8
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None
    tokens: AtLeast1 | None = None
    money: Positive | None = None

    def within(self, others: Limits) -> Limits:
        """Return the stricter limit of each kind; the others where these are not given.

        >>> Limits(at_once=2, tokens=500).within(Limits(at_once=4, tokens=100, money=1.0))
        Limits(at_once=2, requests_per_minute=None, tokens_per_minute=None, tokens=100, money=1.0)
        """
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        own = {name: value for name, value in given.items() if value != getattr(_NO_LIMITS, name)}
        limits = {name: getattr(others, name) for name in own}
        stricter = {
            name: value if limits[name] is None else min(value, limits[name]) for name, value in own.items()
        }
        return msgspec.structs.replace(others, **stricter)


_NO_LIMITS = Limits()


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Prices of a million tokens, in one currency.

    Cached input and reasoning have the prices ``cached_input`` and ``reasoning`` where these are given, else those of
    ``input`` and ``output``. ``batch_input`` and ``batch_output`` are those of a batch; a batch without them has no
    known price. ``date`` (YYYY-MM-DD) says when the prices were true, ``source`` who said so.
    """

    input: NotNegative
    output: NotNegative
    cached_input: NotNegative | None = None
    reasoning: NotNegative | None = None
    batch_input: NotNegative | None = None
    batch_output: NotNegative | None = None
    currency: str = "USD"
    date: str = ""
    source: str = ""

    @property
    def rates(self) -> tuple[float, float, float, float]:
        """Return the prices of input, cached input, output and reasoning, each as it is charged."""
        cached = self.input if self.cached_input is None else self.cached_input
        thought = self.output if self.reasoning is None else self.reasoning
        return self.input, cached, self.output, thought

    def of(self, usage: Usage) -> float:
        """Return the price of a call.

        >>> Price(input=1.0, output=10.0).of(Usage(input=1_000_000, output=100_000))
        2.0
        >>> Price(input=1.0, output=10.0, reasoning=0.0).of(Usage(output=100_000, reasoning=100_000))
        0.0
        """
        full, cached, output, thought = self.rates
        given = (usage.input - usage.cached_input) * full + usage.cached_input * cached
        written = (usage.output - usage.reasoning) * output + usage.reasoning * thought
        return (given + written) / 1e6

    def most_of(self, usage: Usage) -> float:
        """Return the most that a call with these tokens can cost."""
        return self.of(self.dearest(usage))

    def dearest(self, usage: Tokens) -> Tokens:
        """Return as many tokens, all of the dearer kind.

        >>> Price(input=1.0, output=10.0, reasoning=20.0).dearest(Usage(input=5, output=9))
        Usage(input=5, output=9, cached_input=0, reasoning=9, known=True)
        """
        full, cached, output, thought = self.rates
        return msgspec.structs.replace(
            usage,
            cached_input=usage.input if cached > full else 0,
            reasoning=usage.output if thought > output else 0,
        )

    def of_batch(self, usage: Usage) -> float | None:
        """Return the price of a call in a batch; None if it is not known."""
        if self.batch_input is None or self.batch_output is None:
            return None
        return (usage.input * self.batch_input + usage.output * self.batch_output) / 1e6


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a call. ``output`` includes ``reasoning``, ``input`` includes ``cached_input``.

    ``known`` is false where the endpoint did not count them: the numbers are 0, and mean nothing.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    reasoning: int = 0
    known: bool = True

    @property
    def total(self) -> int:
        """Return all tokens."""
        return self.input + self.output


class Reserved(Usage, frozen=True, kw_only=True):
    """Tokens that are set aside for a call. ``input`` includes ``added``: what earlier calls had above their most."""

    added: int = 0


class BudgetReached(Exception):
    """The next call could pass the budget of the evaluation."""


class Budget:
    """Tokens and money of an evaluation: reserved before each call, so that the sum cannot pass the limit.

    A call whose tokens the endpoint did not count costs all that was reserved. An endpoint that writes more than
    ``max_tokens``, or adds a prompt of its own, uses more than was reserved. From then on each call reserves as much as
    the longest answer had, and as much more input as the call with the most of it.

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
        #: The tokens of the longest answer that passed ``max_tokens``, and the most input that was not reserved.
        self._longest = self._added = 0

    def reserve(self, most: Usage) -> Reserved:
        """Set aside what a call may use, and return it as tokens of the dearer kind. Raises BudgetReached."""
        most = Reserved(
            input=most.input + self._added, output=max(most.output, self._longest), added=self._added
        )
        most = self._price.dearest(most) if self._price else most
        reserved = _sum(self._reserved, most)
        if self._limits.tokens is not None and self.spent.total + reserved.total > self._limits.tokens:
            raise BudgetReached(f"{self._limits.tokens:,} tokens")
        price, money = self._price, self._limits.money
        if price and money is not None and price.of(self.spent) + price.of(reserved) > money:
            raise BudgetReached(money_text(money, price.currency, "given"))
        self._reserved = reserved
        return most

    def settle(self, reserved: Reserved, used: Usage) -> None:
        """Count what a call has used, in place of what was set aside for it."""
        self._reserved = _sum(self._reserved, reserved, -1)
        paid = used if used.known else msgspec.structs.replace(reserved, known=False)
        self.spent = _sum(self.spent, paid)
        self.learn(reserved, used)

    def learn(self, reserved: Reserved, used: Usage) -> None:
        """Set aside more for the next calls, if a call used more than was set aside for it."""
        if used.output > reserved.output:
            self._longest = max(self._longest, used.output)
        self._added = max(self._added, used.input - reserved.input + reserved.added)

    @property
    def money(self) -> float | None:
        """Return what was spent; None without a price."""
        return None if self._price is None else self._price.of(self.spent)


def _sum(one: Usage, other: Usage, sign: int = 1) -> Usage:
    return Usage(
        input=one.input + sign * other.input,
        output=one.output + sign * other.output,
        cached_input=one.cached_input + sign * other.cached_input,
        reasoning=one.reasoning + sign * other.reasoning,
        known=one.known and other.known,
    )
