"""What a test of a target finds. Times in seconds since 1970 (``took_s``: seconds)."""

from __future__ import annotations

from typing import Literal

import msgspec

#: ``optional``: not there, and nothing that a kernel needs.
StepState = Literal["ok", "warning", "failed", "skipped", "optional"]
#: What the Lab can do about a step: build an environment, or install what lacks into the one that is there.
StepFix = Literal["build", "install"]


class ReportStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a test: what was found and, unless it is well, what to do. ``commands`` do it at a terminal, any
    of them; ``fixes`` can be done from here. As far as ``agent`` the steps are those of its kind."""

    step: str
    state: StepState
    message: str
    hint: str = ""
    commands: list[str] = []
    fixes: list[StepFix] = []
    took_s: float = 0.0


class TargetReport(msgspec.Struct, frozen=True, kw_only=True):
    """The last test of a target in this Lab; steps come in the order of their work. ``none``: not tested yet."""

    target: str
    state: Literal["none", "running", "ok", "warning", "failed", "cancelled"]
    steps: list[ReportStep] = []
    task_id: str = ""
    started_at: float | None = None
    ended_at: float | None = None
