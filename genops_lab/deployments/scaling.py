"""Between how many replicas a deployment has, as people ask for it and as it is shown.

A replica is a whole process of a revision. The gateway starts and ends them (``serving/gateway/replicas.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.serving.engines.settings import COMMAND

if TYPE_CHECKING:
    from .record import Record

MOST = 64


class Scale(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Between how many replicas a revision that gets requests has.

    ``concurrency`` is the number of requests in flight that one replica is for; 0: 8 for a version. The engine's queue
    and KV cache decide for a language model, and ``concurrency`` beside them if it is given.
    """

    min: int = 1
    max: int = 1
    concurrency: float = 0.0

    @property
    def text(self) -> str:
        """The scale in words.

        >>> Scale(min=1, max=3, concurrency=8).text
        '1 to 3, one for each 8 requests in flight'
        """
        bounds = str(self.max) if self.min == self.max else f"{self.min} to {self.max}"
        each = f", one for each {self.concurrency:g} requests in flight" if self.concurrency else ""
        return f"{bounds}{each}"


class Replicas(msgspec.Struct, frozen=True, kw_only=True):
    """The replicas of a revision: ``ready`` of ``asked`` get requests, of ``min`` to ``max``.

    ``why`` says what keeps one from starting.
    """

    ready: int = 1
    asked: int = 1
    min: int = 1
    max: int = 1
    why: str = ""

    @property
    def text(self) -> str:
        """The replicas in words.

        >>> Replicas(ready=2, asked=2, min=1, max=3).text
        '2 of 1–3 replicas'
        """
        bounds = str(self.max) if self.min == self.max else f"{self.min}–{self.max}"
        starting = f", {self.asked - self.ready} more start" if self.asked > self.ready else ""
        return f"{self.ready} of {bounds} replicas{starting}"


@dataclass(frozen=True)
class ScaleChange:
    """A change of the scale alone, as settings of a file are changed."""

    scale: Scale

    def on(self, record: Record) -> Record:
        """Return the record with the scale."""
        return record.with_wanted(scale=self.scale)


def check_scale(scale: Scale, serving: dict[str, Any] | None = None) -> None:
    """Raise InvalidRequest for a scale that cannot be; ``serving`` is the engine of the revision."""
    if not 1 <= scale.min <= scale.max <= MOST or scale.concurrency < 0:
        raise InvalidRequest(
            f"{scale.min} to {scale.max} replicas for {scale.concurrency:g} requests each are no scale.",
            hint=f"Give 1 to {MOST} replicas, such as --replicas 1..3 --concurrency 8",
        )
    if scale.max > 1 and serving and serving.get("engine") == COMMAND and serving.get("port"):
        raise InvalidRequest(
            f"Only one process can listen on port {serving['port']}, and up to {scale.max} are asked for.",
            hint="Leave --port out, and let the command listen on $PORT.",
        )


def with_scale(scale: Scale | None, settings: Callable[[Record], Record]) -> Callable[[Record], Record]:
    """Return the settings with a scale, if one is given."""
    return settings if scale is None else lambda record: ScaleChange(scale).on(settings(record))


def for_gateway(scale: Scale, serving: Any) -> dict[str, Any]:
    """Return the scale as the gateway reads it. An engine of language models tells its queue and its cache."""
    tells = bool(serving) and serving.get("engine") != COMMAND
    return {**msgspec.structs.asdict(scale), "engine": tells}


def scale_of(text: str, concurrency: float) -> Scale | None:
    """Return the scale of ``--replicas`` and ``--concurrency``; None if neither is given. Raises InvalidRequest.

    >>> scale_of("1..3", 8)
    Scale(min=1, max=3, concurrency=8)
    >>> scale_of("2", 0)
    Scale(min=2, max=2)
    """
    if not text and not concurrency:
        return None
    least, dots, most = (text or "1").partition("..")
    if not least.isdecimal() or (dots and not most.isdecimal()):
        raise InvalidRequest(f"--replicas {text[:40]!r} is no number and no range.", hint="Give 2, or 1..3")
    scale = Scale(min=int(least), max=int(most or least), concurrency=concurrency)
    check_scale(scale)
    return scale
