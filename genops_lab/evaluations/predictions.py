"""Read, write and join ``predictions.parquet``: the predictions of one version on one data set.

Columns: ``id`` (string, unique), ``label`` and ``prediction`` (number, bool or string), ``score.<class>`` (double,
optional), ``group.<name>`` (string, optional) and ``latency_s`` (double, seconds for one row, optional). The metadata
key ``genops`` has :attr:`Predictions.about` as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genops_lab.core.errors import InvalidRequest

from .models import Task

if TYPE_CHECKING:
    import pyarrow as pa

Values = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

FILE = "predictions.parquet"
#: The key of the file's metadata.
ABOUT = b"genops"
SCORE, GROUP = "score.", "group."
#: Ids that an error names.
NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of one version, by row; all arrays have the shape (n,).

    - ids: object array of str, unique.
    - labels, predictions: float64 (NaN: unknown) if all values are numbers, else an object array of str or bool
      (None: unknown).
    - scores: the score of each class, by :func:`class_name`; NaN where the model gave none.
    - groups: object arrays of str (None: unknown), by the group's name.
    - latency_s: seconds for one row; None if not measured.
    - about: model, version, data, digest, rows, made_at (seconds since 1970), how ("evaluate" or "logged"), task.
    """

    ids: Values
    labels: Values
    predictions: Values
    scores: dict[str, Floats] = field(default_factory=dict)
    groups: dict[str, Values] = field(default_factory=dict)
    latency_s: Floats | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make True and False 1 and 0 where only the labels, or only the predictions, are bool."""
        for name, other in (("labels", self.predictions), ("predictions", self.labels)):
            values: Values = getattr(self, name)
            if other.dtype != object and _is_bool(values):
                object.__setattr__(self, name, values.astype(np.float64))  # None becomes NaN

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def task(self) -> Task:
        """The kind of answers: regression if a label or a prediction is a number with a fraction."""
        given = self.about.get("task")
        if given in ("classification", "regression"):
            return "classification" if given == "classification" else "regression"
        if self.scores or any(each.dtype == object for each in (self.labels, self.predictions)):
            return "classification"
        numbers = np.concatenate([self.labels, self.predictions])
        numbers = numbers[np.isfinite(numbers)]
        return "classification" if (numbers == np.floor(numbers)).all() else "regression"

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which rows have a label, shape (n,)."""
        return known(self.labels)

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Which rows have a prediction that is not NaN or null, shape (n,)."""
        return known(self.predictions)

    def right(self) -> Floats:
        """Return 1 where the prediction equals the label, 0 where it does not or is missing, NaN without a label."""
        if self.labels.dtype == self.predictions.dtype:
            same = np.asarray(self.labels == self.predictions, np.bool_)
        else:
            same = class_names(self.labels) == class_names(self.predictions)
        found = (same & self.answered).astype(np.float64)
        found[~self.labelled] = np.nan
        return found

    def take(self, rows: npt.NDArray[Any]) -> Predictions:
        """Return the rows with these places or of this mask, in that order."""
        return Predictions(
            ids=self.ids[rows],
            labels=self.labels[rows],
            predictions=self.predictions[rows],
            scores={name: each[rows] for name, each in self.scores.items()},
            groups={name: each[rows] for name, each in self.groups.items()},
            latency_s=None if self.latency_s is None else self.latency_s[rows],
            about=self.about,
        )


@dataclass(frozen=True)
class Joined:
    """Two versions on the rows that both have, in the order of the first, and the ids that only one has."""

    one: Predictions
    other: Predictions
    only_one: list[str]
    only_other: list[str]


def known(values: Values) -> npt.NDArray[np.bool_]:
    """Return which values are neither NaN nor null."""
    if values.dtype == object:
        return np.fromiter((each is not None for each in values), np.bool_, len(values))
    return ~np.isnan(values)


def class_name(value: Any) -> str:
    """Return the name of a class as the columns of scores have it.

    >>> class_name(3.0), class_name("cat"), class_name(True)
    ('3', 'cat', 'True')
    """
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (int, float, np.number)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def class_names(values: Values) -> Values:
    """Return the classes' names, an object array; None where the value is unknown."""
    there = known(values)
    names: Values = np.full(len(values), None, object)
    if values.dtype == object:
        names[there] = [class_name(each) for each in values[there]]
        return names
    different, places = np.unique(values[there], return_inverse=True)
    if len(different):
        names[there] = np.array([class_name(each) for each in different], object)[places]
    return names


def join(one: Predictions, other: Predictions) -> Joined:
    """Join two versions by id. Raises InvalidRequest for an id that is there twice."""
    refuse_double(one.ids, "the predictions")
    refuse_double(other.ids, "the predictions that they are compared with")
    if len(one) == len(other) and bool((one.ids == other.ids).all()):
        return Joined(one, other, [], [])
    places = {each: at for at, each in enumerate(other.ids)}
    found = np.fromiter((places.get(each, -1) for each in one.ids), np.int64, len(one))
    both = found >= 0
    unused = np.ones(len(other), np.bool_)
    unused[found[both]] = False
    return Joined(
        one.take(both), other.take(found[both]), one.ids[~both].tolist(), other.ids[unused].tolist()
    )


def refuse_double(ids: Values, what: str) -> None:
    """Raise InvalidRequest if an id is there twice; the message names the first ten."""
    if len(ids) == len(set(ids)):
        return
    double = [each for each, count in Counter(ids).items() if count > 1]
    raise InvalidRequest(
        f"Ids must be unique: {describe_ids(double)} more than once in {what}.",
        hint="Name another column with --id, or remove the double rows.",
        code="double_ids",
    )


def describe_ids(ids: Iterable[str]) -> str:
    """Return a count and the first ten ids, such as ``2 ids (a, b)``."""
    named = list(ids)
    shown = ", ".join(each[:40] for each in named[:NAMED])
    count = "1 id" if len(named) == 1 else f"{len(named):,} ids"
    return f"{count} ({shown}{', …' if len(named) > NAMED else ''})"


def of_values(values: Iterable[Any]) -> Values:
    """Return labels or predictions as an array: float64 if all are numbers, else str or bool. None and NaN: unknown.

    >>> of_values([1, None]).tolist(), of_values(["a", None]).tolist()
    ([1.0, nan], ['a', None])
    """
    given = [None if _unknown(each) else _plain(each) for each in values]
    if all(each is None or (isinstance(each, (int, float)) and not isinstance(each, bool)) for each in given):
        return np.array([np.nan if each is None else each for each in given], np.float64)
    mixed = {type(each) for each in given if each is not None} != {bool}
    made: Values = np.full(len(given), None, object)
    made[:] = [class_name(each) if mixed and each is not None else each for each in given]
    return made


def of_texts(values: Iterable[Any]) -> Values:
    """Return ids or groups as an object array of str; None and NaN: unknown."""
    given = [None if _unknown(each) else class_name(_plain(each)) for each in values]
    made: Values = np.full(len(given), None, object)
    made[:] = given
    return made


def read(path: str | Path) -> Predictions:
    """Read a file. Raises InvalidRequest if it is not one of predictions, or if an id is there twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InvalidRequest(
            f"Cannot read the predictions {Path(path).name}: {error}.", hint="Evaluate the version again."
        ) from error
    missing = {"id", "label", "prediction"} - set(table.column_names)
    if missing:
        raise InvalidRequest(
            f"{Path(path).name} has no column {', '.join(sorted(missing))}.",
            hint="A file of predictions has the columns id, label and prediction.",
        )
    found = Predictions(
        ids=of_texts(table["id"].to_pylist()),
        labels=_read_values(table["label"]),
        predictions=_read_values(table["prediction"]),
        scores={name.removeprefix(SCORE): _read_floats(table[name]) for name in _named(table, SCORE)},
        groups={name.removeprefix(GROUP): of_texts(table[name].to_pylist()) for name in _named(table, GROUP)},
        latency_s=_read_floats(table["latency_s"]) if "latency_s" in table.column_names else None,
        about=_about(table.schema.metadata or {}),
    )
    refuse_double(found.ids, Path(path).name)
    return found


def write(path: str | Path, predictions: Predictions) -> None:
    """Write a file. Raises InvalidRequest for an id that is there twice."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    refuse_double(predictions.ids, "the predictions")
    columns: dict[str, Any] = {
        "id": pa.array(predictions.ids, pa.string()),
        "label": _column(predictions.labels),
        "prediction": _column(predictions.predictions),
        **{SCORE + name: pa.array(each, pa.float64()) for name, each in predictions.scores.items()},
        **{GROUP + name: pa.array(each, pa.string()) for name, each in predictions.groups.items()},
    }
    if predictions.latency_s is not None:
        columns["latency_s"] = pa.array(predictions.latency_s, pa.float64())
    about = {**predictions.about, "rows": len(predictions), "task": predictions.task}
    table = pa.table(columns).replace_schema_metadata({ABOUT: json.dumps(about).encode()})
    pq.write_table(table, path, compression="zstd")


def _named(table: pa.Table, prefix: str) -> list[str]:
    return [name for name in table.column_names if name.startswith(prefix)]


def _about(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(ABOUT, b"{}"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _read_floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.to_numpy(), np.float64)


def _read_values(column: pa.ChunkedArray) -> Values:
    import pyarrow as pa

    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _read_floats(column)
    return of_values(column.to_pylist())


def _column(values: Values) -> pa.Array:
    import pyarrow as pa

    if values.dtype != object:
        return pa.array(values, pa.float64(), from_pandas=True)  # NaN becomes null
    kind = pa.bool_() if _is_bool(values) else pa.string()
    return pa.array(values, kind)


def _is_bool(values: Values) -> bool:
    return values.dtype == object and all(each is None or isinstance(each, bool) for each in values)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _unknown(value: Any) -> bool:
    # NaN differs from itself; pandas' NA and NaT say so by their names.
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(value != value)
