"""What a query is asked of: runs as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Kind = Literal["attribute", "metric", "param", "tag"]

#: Of kind "attribute". Times in seconds since 1970, ``duration`` in seconds (of a run that goes on: up to now).
NUMBER_ATTRIBUTES = ("start_time", "end_time", "duration")
TEXT_ATTRIBUTES = (
    "run_id",
    "run_name",
    "status",
    "experiment",
    "experiment_id",
    "user",
    "artifact_uri",
    "lifecycle_stage",
)


@dataclass(frozen=True)
class Numbers:
    """``values``: float64, shape (rows,); ``present``: bool, shape (rows,). A present value may be NaN or infinite."""

    values: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """Each distinct text once. ``codes``: int32, shape (rows,), the text's place in ``words``, -1 where there is none.
    ``words``: a pyarrow string array without nulls; some may be used by no row."""

    codes: npt.NDArray[np.int32]
    words: pa.StringArray


class Columns(Protocol):
    """Runs as columns. What is asked again should be cheap: implementations may keep what they made."""

    @property
    def rows(self) -> int:
        """How many runs."""

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        """A metric's latest values, or one of ``NUMBER_ATTRIBUTES``; None where no run has it."""

    def texts(self, kind: Kind, name: str) -> Texts | None:
        """A parameter, a tag, or one of ``TEXT_ATTRIBUTES``; None where no run has it."""

    def names(self, kind: Kind) -> Sequence[str]:
        """The names that there are, sorted."""
