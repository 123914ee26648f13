"""Define the options of a recording, and the common base of recordings by PyTorch and by NVIDIA's tools."""

from __future__ import annotations

import abc
import os
import threading
from typing import Any, Dict, NamedTuple, Optional

from ..errors import GenOpsError
from .lines import LineMarkers
from .steps import StepHook

#: The recorder chooses: measuring one step with Nsight Compute takes as long as recording many.
AS_USUAL = 0


class RecordingOptions(NamedTuple):
    """Limits of a recording, whichever comes first, and its content.

    ``warmup`` steps are skipped, then ``steps`` are recorded. ``megabytes`` is the memory that the recorder
    takes of this process, with its result: about 1.4 kB an event. ``usd_per_hour`` is the price of everything
    that runs, in place of the target's price.
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
        """Fill in these defaults."""
        return self._replace(steps=self.steps or steps, seconds=self.seconds or seconds)

    def with_a_gap(self) -> "RecordingOptions":
        """Skip one step after the start, which is recorded too.

        A slice that is open where the start's recording ends must not be open where the steps begin, see
        ``slices``.
        """
        return self._replace(warmup=2) if self.warmup == 1 else self


class Recording(abc.ABC):
    """One recording. ``profile`` is the Lab's summary once it exists, ``trace_path`` the trace's file.

    ``note`` says what was recorded and at which cost.
    """

    active: "Optional[Recording]" = None

    def __init__(self, title: str, wishes: RecordingOptions) -> None:
        self.title = title
        self.profile: Optional[Dict[str, Any]] = None
        self.trace_path = self.note = self.trouble = ""
        #: The error that the recorded code raised.
        self.raised = ""
        self.wishes = wishes
        self.markers: Optional[LineMarkers] = None
        self._over = threading.Event()
        self._hook = StepHook(self._stepped)
        self._watch: Any = None

    @abc.abstractmethod
    def _stepped(self, count: int, took_s: float) -> None:
        """Note a step that has ended, in the training thread, inside the optimizer's call."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop recording."""

    @staticmethod
    def refuse_nested() -> None:
        """Raise GenOpsError while another recording runs."""
        if Recording.active is not None:
            raise GenOpsError(
                f"The profile {Recording.active.title!r} is already recording; profiles do not nest.",
                "Remove the inner %%profile or genops.profile().",
            )

    def raises(self, error: BaseException) -> None:
        """Note that the code ends with ``error``; the handling of the error is not part of the code."""
        if not self._over.is_set():
            self.raised = type(error).__name__
            self.close()

    def forget(self) -> None:
        """Forget the recording and its threads in a forked child: they are the parent's."""
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
