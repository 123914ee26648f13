"""Wire types of what ends of idle kernels saved."""

from __future__ import annotations

import msgspec


class SavedHours(msgspec.Struct, frozen=True, kw_only=True):
    """The hours that ends of idle kernels saved on a target in a month (``2026-12``, local time), and their price.

    A saved hour lies between the end of an idle kernel and the next start of a kernel for its notebook. One end
    saves at most 24 hours, and none after the known end of its host. ``usd`` is at the target's price at the end; None:
    it had none.
    """

    target: str
    month: str
    kernels: int
    hours: float
    usd: float | None = None
