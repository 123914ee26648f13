"""Predict without MLflow's checks for a body that is exactly what the signature says.

MLflow builds a frame, casts and checks it in several passes: 0.1 to 1.7 ms a request. For plain types the result is
known from the signature. At load, samples of each format go through MLflow's own functions, and only formats whose
input comes out equal here are taken. Every other body goes MLflow's way, with its messages.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

#: The types of JSON that a column of MLflow takes as they are, and two values to compare with.
_COLUMNS: dict[str, tuple[frozenset[type], tuple[Any, Any]]] = {
    "double": (frozenset({float, int}), (1.5, 2)),
    "float": (frozenset({float, int}), (1.5, 2)),
    "long": (frozenset({int}), (2, -(2**40))),
    "integer": (frozenset({int}), (2, -3)),
    "boolean": (frozenset({bool}), (True, False)),
    "string": (frozenset({str}), ("x", "yz")),
}
_RECORDS = ("dataframe_records", "inputs", "instances")


class _Other(Exception):
    """A body that MLflow shall read."""


class ExactInput:
    """The formats of one model whose bodies can be read directly. Falsy if there are none."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._formats: dict[str, Callable[[Any], Any]] = {}
        self._ask: Callable[[Any], Any] = lambda data: None
        try:
            if _plain(model):
                self._ask = _asking(model)
                self._formats = dict(self._found())
        except Exception:  # an MLflow with other functions: it reads every body itself
            self._formats = {}

    def __bool__(self) -> bool:
        return bool(self._formats)

    def read(self, body: bytes, content_type: str) -> Any:
        """Return the model's input for a body, None if MLflow shall read it."""
        if content_type != "application/json":
            return None
        try:
            asked = json.loads(body)
            if type(asked) is not dict or len(asked) != 1:
                return None
            ((key, content),) = asked.items()
            reader = self._formats.get(key)
            return reader(content) if reader else None
        except (_Other, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None

    def predict(self, data: Any) -> Any:
        """Ask the model, as MLflow does after its checks."""
        return self._ask(data)

    def _found(self) -> Iterator[tuple[str, Callable[[Any], Any]]]:
        schema = self._model.metadata.get_input_schema()
        if schema.is_tensor_spec():
            reader: Callable[[Any], Any] = _tensor(schema)
            sample: Any = _tensor_sample(schema)
            samples = [("inputs", reader, sample), ("instances", reader, sample)]
        else:
            names = schema.input_names()
            kinds = [_COLUMNS[each.type.name] for each in schema.inputs]
            rows = [[values[at] for _, values in kinds] for at in (0, 1)]
            split = {"columns": names, "data": rows}
            table = _Table(
                names, [types for types, _ in kinds], _by_mlflow(self._model, {"dataframe_split": split})
            )
            records = [dict(zip(names, row, strict=True)) for row in rows]
            samples = [("dataframe_split", table.split, split)]
            samples += [(key, table.records, records) for key in _RECORDS]
        for key, reader, content in samples:
            some = [content, _first(content)]
            if all(_equal(reader(each), _by_mlflow(self._model, {key: each})) for each in some):
                yield key, reader


class _Table:
    """The columns of a signature: names, the types of their values, and the types of the frame's columns."""

    def __init__(self, names: list[str], types: list[frozenset[type]], frame: Any) -> None:
        self._names, self._types = names, types
        self._columns, self._dtypes = frame.columns, list(frame.dtypes)
        self._one_type = (
            self._dtypes[0] if len(set(self._dtypes)) == 1 and self._dtypes[0].kind in "biuf" else None
        )

    def split(self, content: Any) -> Any:
        if content.keys() != {"columns", "data"} or content["columns"] != self._names:
            raise _Other
        return self._frame(content["data"])

    def records(self, content: Any) -> Any:
        names = self._names
        for row in content:
            if list(row) != names:
                raise _Other
        return self._frame([list(row.values()) for row in content])

    def _frame(self, rows: list[list[Any]]) -> Any:
        import numpy as np
        import pandas as pd  # type: ignore[import-untyped]

        if not rows or set(map(len, rows)) != {len(self._names)} or set(map(type, rows)) != {list}:
            raise _Other
        columns = list(zip(*rows, strict=True))
        for values, types in zip(columns, self._types, strict=True):
            if not types.issuperset(map(type, values)):
                raise _Other
        if self._one_type is not None:
            return pd.DataFrame(np.array(rows, dtype=self._one_type), columns=self._columns, copy=False)
        series = {
            at: np.array(values, dtype=dtype)
            if isinstance(dtype, np.dtype)
            else pd.array(values, dtype=dtype)
            for at, (values, dtype) in enumerate(zip(columns, self._dtypes, strict=True))
        }
        frame = pd.DataFrame(series, copy=False)
        frame.columns = self._columns
        return frame


def _tensor(schema: Any) -> Callable[[Any], Any]:
    import numpy as np

    specs = {each.name: each for each in schema.inputs}

    def one(content: Any, spec: Any) -> Any:
        found = np.array(content, dtype=spec.type)
        shape = tuple(spec.shape)
        if found.ndim != len(shape) or any(
            want not in (-1, is_) for want, is_ in zip(shape, found.shape, strict=True)
        ):
            raise _Other
        return found

    def reader(content: Any) -> Any:
        if not schema.has_input_names():
            if type(content) is not list:
                raise _Other
            return one(content, schema.inputs[0])
        if content.keys() != specs.keys():
            raise _Other
        found = {name: one(content[name], spec) for name, spec in specs.items()}
        if len({len(each) for each in found.values()}) > 1:  # which is wrong for instances
            raise _Other
        return found

    return reader


def _tensor_sample(schema: Any) -> Any:
    import numpy as np

    found = {}
    for each in schema.inputs:
        if each.type.kind not in "biuf" or not each.shape:
            raise _Other
        found[each.name] = np.ones([2 if size == -1 else size for size in each.shape], each.type).tolist()
    return found if schema.has_input_names() else found[schema.inputs[0].name]


def _first(content: Any) -> Any:
    """Return a sample with its first row alone; of a tensor with a fixed number of rows the sample."""
    if isinstance(content, dict) and "data" in content:
        return {**content, "data": content["data"][:1]}
    return content[:1] if isinstance(content, list) and isinstance(content[0], dict) else content


def _plain(model: Any) -> bool:
    """Return whether MLflow does nothing for this model beside the checks of its signature."""
    metadata = model.metadata
    return not (
        metadata.get_input_schema() is None
        or metadata.get_params_schema() is not None
        or metadata._is_signature_from_type_hint()
        or metadata._is_type_hint_from_example()
        or _dependencies(metadata)
    )


def _dependencies(metadata: Any) -> Any:
    from mlflow.models.dependencies_schemas import _get_dependencies_schema_from_model

    return _get_dependencies_schema_from_model(metadata)


def _by_mlflow(model: Any, body: dict[str, Any]) -> Any:
    """Return the model's input for a body as MLflow's server makes it."""
    from mlflow.pyfunc import _validate_prediction_input, scoring_server

    schema = model.metadata.get_input_schema()
    read = scoring_server._parse_json_data(  # type: ignore[no-untyped-call]
        json.dumps(body).encode(), model.metadata, schema
    )
    data, _params = _validate_prediction_input(read.data, read.params, schema, None, model.loader_module)
    return data


def _asking(model: Any) -> Callable[[Any], Any]:
    """Return the function that ``PyFuncModel.predict`` calls after its checks, with what it gives beside the data."""
    import inspect

    from mlflow.pyfunc import _validate_prediction_input
    from mlflow.pyfunc.context import Context, set_prediction_context

    ask = model._predict_fn
    _data, params = _validate_prediction_input(None, None, None, None, model.loader_module)
    given = inspect.signature(ask).parameters.get("params")
    more = {"params": params} if given and given.kind != inspect.Parameter.VAR_KEYWORD else {}
    known = {"model_id": model.model_id} if model.model_id else {}

    def asked(data: Any) -> Any:
        with set_prediction_context(Context(**known)):
            return ask(data, **more)

    return asked


def _equal(ours: Any, theirs: Any) -> bool:
    import numpy as np
    import pandas as pd

    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(_equal(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, np.ndarray):
        return bool(ours.dtype == theirs.dtype and ours.shape == theirs.shape and (ours == theirs).all())
    if not isinstance(ours, pd.DataFrame):
        return False
    pd.testing.assert_frame_equal(ours, theirs, check_exact=True, check_column_type="exact")
    return [type(each) for each in ours.to_numpy(object).flat] == [
        type(each) for each in theirs.to_numpy(object).flat
    ]
