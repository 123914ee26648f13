"""Define what an evaluation file says of a task of another harness."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Harness(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A task of inspect-ai or lm-evaluation-harness: it has its own rows, prompts and scorers.

    - inspect: a task such as ``inspect_evals/gsm8k``, or a file beside the evaluation file: ``task.py`` or
      ``task.py@name``.
    - lm_eval: a task of lm-evaluation-harness, such as ``gsm8k``.
    - python: the Python of an environment where the harness is installed; empty: that of GenOps Lab. On a target it is
      a path of the host; empty: the target's Python, or an environment that the host builds.
    - files: further files that the task reads, beside the evaluation file.
    - limit: rows at most.
    - arguments: further options of the harness's command, such as ``["-T", "level=hard"]``.
    - timeout_s: the time of one model.
    """

    inspect: str = ""
    lm_eval: str = ""
    python: str = ""
    files: list[str] = []
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    arguments: list[str] = []
    timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 86400.0

    def __post_init__(self) -> None:
        if bool(self.inspect) == bool(self.lm_eval):
            raise ValueError("a harness has one of inspect and lm_eval")

    @property
    def kind(self) -> Literal["inspect", "lm_eval"]:
        """Return which harness has the task."""
        return "inspect" if self.inspect else "lm_eval"

    @property
    def task(self) -> str:
        """Return the task."""
        return self.inspect or self.lm_eval

    @property
    def task_file(self) -> str:
        """Return the file of the task; empty: it comes from a package."""
        name = self.inspect.partition("@")[0]
        return name if name.endswith(".py") else ""
