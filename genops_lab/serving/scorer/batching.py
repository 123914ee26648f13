"""Predict for several requests at once.

A request waits until the model is free, and at most ``wait_s`` for others. Each gets the rows of its own. Only rows of
the same columns and types go together, and only without params. If a prediction for several requests fails, the model
predicts for each alone: an error concerns the request that has it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Hashable
from concurrent.futures import Future
from typing import Any

from .report import log

#: How much the answers for rows alone and together may differ, relative to their size.
TOLERANCE = 1e-4


class _Waiting:
    """The rows of one request."""

    def __init__(self, data: Any, kind: Hashable) -> None:
        self.data = data
        self.kind = kind
        self.rows = len(data)
        self.answer: Future[Any] = Future()


class Batches:
    """Requests that wait for ``model``. ``rows`` is the most rows of a batch."""

    def __init__(self, model: Any, rows: int, wait_s: float) -> None:
        self._model = model
        self._rows = rows
        self._wait_s = wait_s
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._refused = why_not(model)
        self.sizes: list[int] = []

    def model(self) -> Any:
        """Return the model to predict with: one that joins requests, or the model itself where that is not safe."""
        if self._refused:
            log(f"Requests are not joined into batches: {self._refused}")
            return self._model
        threading.Thread(target=self._run, name="batches", daemon=True).start()
        log(
            f"Up to {self._rows} rows of requests are predicted at once; a request waits {self._wait_s * 1000:g} ms."
        )
        return _Joined(self, self._model)

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        """Return the prediction for the rows of one request. Blocks."""
        kind = None if params or self._refused else kind_of(data)
        if kind is None or len(data) >= self._rows:
            return predict(self._model, data, params)
        waiting = _Waiting(data, kind)
        self._queue.put(waiting)
        return waiting.answer.result()

    def _run(self) -> None:
        left: _Waiting | None = None
        while True:
            first = left or self._queue.get()
            batch, left = self._gathered(first)
            self._answer(batch)

    def _gathered(self, first: _Waiting) -> tuple[list[_Waiting], _Waiting | None]:
        """Return the requests of a batch, and one that came meanwhile and does not fit into it."""
        batch, rows = [first], first.rows
        until = time.monotonic() + self._wait_s
        while rows < self._rows:
            try:
                more = self._queue.get(timeout=max(until - time.monotonic(), 0))
            except (queue.Empty, ValueError):
                break
            if more.kind != first.kind or rows + more.rows > self._rows:
                return batch, more
            batch.append(more)
            rows += more.rows
        return batch, None

    def _answer(self, batch: list[_Waiting]) -> None:
        if len(batch) > 1:
            try:
                found = _split(predict(self._model, _joined(batch), None), [each.rows for each in batch])
            except Exception:  # each request is then asked alone, and gets its own error
                found = None
            if found is not None:
                for at, waiting in enumerate(batch):
                    waiting.answer.set_result(found[at])
                return
        for waiting in batch:
            try:
                waiting.answer.set_result(predict(self._model, waiting.data, None))
            except BaseException as error:
                waiting.answer.set_exception(error)


class _Joined:
    """A model as MLflow's scoring server asks it."""

    def __init__(self, batches: Batches, model: Any) -> None:
        self._batches = batches
        self.metadata = model.metadata
        self.model_folder = getattr(model, "model_folder", "")

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Return the prediction for the rows of one request."""
        return self._batches.predict(data, params)


def predict(model: Any, data: Any, params: dict[str, Any] | None) -> Any:
    """Ask a model of any MLflow: older ones take no params."""
    return model.predict(data, params=params) if params else model.predict(data)


def kind_of(data: Any) -> Hashable | None:
    """Return what rows must have in common to go together, None for data that has no rows."""
    import numpy as np
    import pandas as pd  # type: ignore[import-untyped]

    if isinstance(data, pd.DataFrame) and len(data) and isinstance(data.index, pd.RangeIndex):
        return ("table", tuple(data.columns), tuple(str(each) for each in data.dtypes))
    if isinstance(data, np.ndarray) and data.ndim and len(data):
        return ("tensor", str(data.dtype), data.shape[1:])
    return None


def _joined(batch: list[_Waiting]) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(batch[0].data, pd.DataFrame):
        return pd.concat([each.data for each in batch], ignore_index=True)
    return np.concatenate([each.data for each in batch])


def _split(found: Any, counts: list[int]) -> list[Any] | None:
    """Return the rows of each request, None if the answer has not one for each row."""
    import numpy as np
    import pandas as pd

    if not isinstance(found, (pd.DataFrame, pd.Series, np.ndarray, list)) or np.ndim(found) == 0:
        return None
    if len(found) != sum(counts):
        return None
    parts, at = [], 0
    for count in counts:
        if isinstance(found, (pd.DataFrame, pd.Series)):
            parts.append(found.iloc[at : at + count].reset_index(drop=True))
        else:
            parts.append(found[at : at + count])
        at += count
    return parts


def why_not(model: Any) -> str:
    """Return why rows of different requests must not be joined for this model; empty if they may be."""
    schema = model.metadata.get_input_schema()
    if schema is None:
        return "the model has no signature."
    output = model.metadata.get_output_schema()
    for each, what in ((schema, "input"), (output, "output")):
        if each is not None and any(shape and shape[0] != -1 for shape in _shapes(each)):
            return f"the {what} of its signature has a fixed number of rows."
    if not schema.is_tensor_spec() and any(not hasattr(each, "type") for each in schema.inputs):
        return "its signature has no rows."
    return _differs_together(model)


def _shapes(schema: Any) -> list[tuple[int, ...]]:
    return [each.shape for each in schema.inputs] if schema.is_tensor_spec() else []


def _differs_together(model: Any) -> str:
    """Return a reason if the rows of the input example are answered otherwise together than alone."""
    example = _example(model)
    kind = kind_of(example) if example is not None else None
    if kind is None:
        return ""
    rows = [example[at : at + 1] for at in range(min(len(example), 4))]
    waiting = [_Waiting(_anew(row), kind) for row in (rows * 2)[: max(len(rows), 2)]]
    alone = [predict(model, each.data, None) for each in waiting]
    together = _split(predict(model, _joined(waiting), None), [1] * len(waiting))
    if together is None:
        return "it does not answer each row of its input example with one row."
    if not all(_alike(alone[at], together[at]) for at in range(len(alone))):
        return "it answers the rows of its input example otherwise together than alone."
    return ""


def _anew(rows: Any) -> Any:
    return rows.reset_index(drop=True) if hasattr(rows, "reset_index") else rows


def _example(model: Any) -> Any:
    import pandas as pd

    folder = getattr(model, "model_folder", None)
    try:
        found = model.metadata.load_input_example(folder) if folder else None
        return pd.DataFrame(found) if isinstance(found, dict) else found
    except Exception as error:
        log(f"Cannot read the input example: {error}")
        return None


def _alike(one: Any, other: Any) -> bool:
    import numpy as np

    first, second = np.asarray(one), np.asarray(other)
    if first.shape != second.shape:
        return False
    if np.issubdtype(first.dtype, np.number):
        return bool(np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
    return bool(np.array_equal(first, second))
