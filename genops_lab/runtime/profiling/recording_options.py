"""What a recording is asked for, and what all recordings have: those of PyTorch and those of NVIDIA's tools."""

from __future__ import annotations

import abc
import os
import threading
from typing import Any, Dict, NamedTuple, Optional

from ..errors import GenOpsError
from .lines import LineMarkers
from .steps import StepHook

#: Left to who records: measuring a step with Nsight Compute takes as long as recording many of them.
AS_USUAL = 0


class RecordingOptions(NamedTuple):
    """Bounds of a recording, whichever comes first, and what it holds.

    ``warmup`` steps are not recorded, then ``steps`` are. ``megabytes`` is what the recorder takes of this process,
    with the result that it makes in the end: about 1.4 kB an event.
    ``usd_per_hour``: what all that runs costs, in place of the target's price.
    """

    steps: int = AS_USUAL
    warmup: int = 2
    seconds: float = AS_USUAL
    megabytes: float = 200.0
    shapes: bool = False
    stacks: bool = False
    memory: bool = False
    graphs: bool = False
    lines: bool = True
    usd_per_hour: Optional[float] = None

    def settled(self, steps: int, seconds: float) -> "RecordingOptions":
        """With these where they were left open."""
        return self._replace(steps=self.steps or steps, seconds=self.seconds or seconds)

    def with_a_gap(self) -> "RecordingOptions":
        """The start is recorded as well: what is open where that ends must not be where the steps begin, see
        ``slices``."""
        return self._replace(warmup=2) if self.warmup == 1 else self


class Recording(abc.ABC):
    """One recording. ``profile`` is the Lab's summary once it is there, ``trace_path`` the trace's file, ``note`` what
    was recorded and what it cost, in words."""

    active: "Optional[Recording]" = None

    def __init__(self, title: str, wishes: RecordingOptions) -> None:
        self.title = title
        self.profile: Optional[Dict[str, Any]] = None
        self.trace_path = self.note = self.trouble = ""
        #: What the code raised that was recorded.
        self.raised = ""
        self.wishes = wishes
        self.markers: Optional[LineMarkers] = None
        self._over = threading.Event()
        self._hook = StepHook(self._stepped)
        self._watch: Any = None

    @abc.abstractmethod
    def _stepped(self, count: int, took_s: float) -> None:
        """A step has ended: in the thread that trains, inside the optimizer's call."""

    @abc.abstractmethod
    def close(self) -> None:
        """Record no more."""

    @staticmethod
    def refuse_nested() -> None:
        """Raise GenOpsError while another recording goes on."""
        if Recording.active is not None:
            raise GenOpsError(
                f"The profile {Recording.active.title!r} is being recorded; profiles do not nest.",
                "Take the inner %%profile or genops.profile() off.",
            )

    def raises(self, error: BaseException) -> None:
        """The code ends with ``error``; what is made of that is not the code's own."""
        if not self._over.is_set():
            self.raised = type(error).__name__
            self.close()

    def forget(self) -> None:
        """In a forked child: what records, and its threads, are the parent's."""
        self._over.set()
        self._hook.remove()
        if self.markers is not None:
            self.markers.on = False


def _after_fork() -> None:
    active, Recording.active = Recording.active, None
    if active is not None:
        active.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
