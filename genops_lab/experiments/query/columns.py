"""Define the data of a query: rows (runs or versions) as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Kind = Literal["attribute", "metric", "param", "tag"]

#: Kind "attribute". Times in seconds since 1970, ``duration`` in seconds (of a running run: up to now).
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
    """Numbers: ``values`` is float64, ``present`` is bool, both of shape (rows,). A present value may be NaN
    or infinite.
    """

    values: npt.NDArray[np.float64]
    present: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Texts:
    """Texts, each distinct one once.

    ``codes``: int32, shape (rows,), the text's place in ``words``, -1 for a missing text. ``words``: a
    pyarrow string array without nulls, which may have unused texts.
    """

    codes: npt.NDArray[np.int32]
    words: pa.StringArray


class Columns(Protocol):
    """Runs as columns. Repeated questions must be cheap: implementations may cache."""

    @property
    def rows(self) -> int:
        """The number of runs."""

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        """Return a metric's latest values, or one of ``NUMBER_ATTRIBUTES``; None if no run has it."""

    def texts(self, kind: Kind, name: str) -> Texts | None:
        """Return a parameter, a tag, or one of ``TEXT_ATTRIBUTES``; None if no run has it."""

    def names(self, kind: Kind) -> Sequence[str]:
        """Return the existing names, sorted."""
