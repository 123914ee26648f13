"""The results of a target's test. Times in seconds since 1970 (``took_s``: seconds)."""

from __future__ import annotations

from typing import Literal

import msgspec

#: ``optional``: missing, and no kernel needs it.
StepState = Literal["ok", "warning", "failed", "skipped", "optional"]
#: What the Lab can do about a step: build an environment, or install missing packages into the present one.
StepFix = Literal["build", "install"]


class ReportStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a test: the result and, unless it is good, what to do.

    Each of ``commands`` solves the problem at a terminal. ``fixes`` can be started from the Lab. The steps up
    to ``agent`` belong to the target's kind.
    """

    step: str
    state: StepState
    message: str
    hint: str = ""
    commands: list[str] = []
    fixes: list[StepFix] = []
    took_s: float = 0.0


class TargetReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last test of a target in this Lab; steps are in the order of the test. ``none``: not tested yet."""

    target: str
    state: Literal["none", "running", "ok", "warning", "failed", "cancelled"]
    steps: list[ReportStep] = []
    task_id: str = ""
    started_at: float | None = None
    ended_at: float | None = None
