"""How much of a test runs daily (``make test``) and how much with ``make test-all``."""

from __future__ import annotations

#: Set by ``tests/conftest.py`` before any test module is imported.
ALL = False


def examples(full: int) -> int:
    """Return a property's ``max_examples``: ``full`` with ``make test-all``, else a twentieth of it, 5 at least.

    >>> examples(400)
    20
    """
    return full if ALL else max(5, full // 20)


def times(full: int, daily: int) -> int:
    """Return how often something that costs much is done: ``full`` with ``make test-all``, else ``daily``."""
    return full if ALL else daily
