"""Speak the Open Inference Protocol, version 2, with JSON (also known as KServe V2).

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

import json
import math
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .answer import Answer, json_answer
from .report import log

#: The protocol's names of numpy's types.
DATATYPES = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "INT8": "int8",
    "INT16": "int16", "INT32": "int32", "INT64": "int64", "FP16": "float16", "FP32": "float32", "FP64": "float64",
    "BYTES": "object",
}  # fmt: skip
_NAMES = {numpy: name for name, numpy in DATATYPES.items()}
#: The protocol's names of the types of MLflow's columns; other columns travel as text.
_COLUMNS = {"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64"}


#: Longer examples are not told.
MAX_EXAMPLE = 256 * 1024


class _Wrong(Exception):
    """A request that the protocol does not know; the text is for the caller."""


class InferenceProtocol:
    """The paths below ``/v2`` of one model."""

    def __init__(self, model: Any, name: str, version: str) -> None:
        self._model = model
        self._name = name
        self._version = version
        self._schema = model.metadata.get_input_schema()
        self._output = model.metadata.get_output_schema()
        self._more = _more(model, self._schema)

    def look(self, method: str, path: str, *, ready: bool) -> Answer:
        """Answer a request that asks for no prediction."""
        if method not in ("GET", "HEAD"):
            return json_answer(405, {"error": "Use GET, or POST to .../infer."}, [(b"allow", b"GET")])
        if path in ("/v2", "/v2/"):
            return json_answer(200, {"name": "genops", "version": "2", "extensions": []})
        if path == "/v2/health/live":
            return json_answer(200, {"live": True})
        if path == "/v2/health/ready":
            return json_answer(200 if ready else 503, {"ready": ready})
        try:
            rest = self._rest(path)
        except _Wrong as error:
            return _error(404, str(error))
        if rest == "ready":
            return json_answer(200 if ready else 503, {"name": self._name, "ready": ready})
        return json_answer(200, self._metadata()) if not rest else _error(404, f"There is no path {path}.")

    def _rest(self, path: str) -> str:
        """Return what follows the model in a path. Raises _Wrong for another model or version."""
        parts = [unquote(each) for each in path.split("/")[2:]]
        if parts[:1] != ["models"] or len(parts) < 2:
            raise _Wrong(f"There is no path {path}.")
        if parts[1] != self._name:
            raise _Wrong(f"There is no model {parts[1]!r} here. Its name is {self._name!r}.")
        rest = parts[2:]
        if rest[:1] == ["versions"] and len(rest) > 1:
            if rest[1] != self._version:
                raise _Wrong(
                    f"Version {rest[1]} of {self._name!r} does not answer here, but {self._version} does."
                )
            rest = rest[2:]
        return "/".join(rest)

    def _metadata(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "versions": [self._version],
            "platform": "mlflow_pyfunc",
            "inputs": _described(self._schema, "input"),
            "outputs": _described(self._output, "output"),
            "parameters": self._more,
        }

    def infer(self, path: str, body: bytes) -> Answer:
        """Answer an inference request. Blocks."""
        from mlflow.exceptions import MlflowException

        try:
            if self._rest(path) != "infer":
                raise _Wrong(f"There is no path {path}.")
        except _Wrong as error:
            return _error(404, str(error))
        try:
            asked = _asked(body)
            data, params = self._data(asked["inputs"]), self._params(asked)
            found = self._model.predict(data, params=params) if params else self._model.predict(data)
        except _Wrong as error:
            return _error(400, str(error))
        except MlflowException as error:
            status = int(error.get_http_status_code())  # type: ignore[no-untyped-call]
            return _error(status, error.message)
        except Exception as error:  # as MLflow's server answers: the model refuses the input
            log(traceback.format_exc())
            return _error(400, f"The model cannot predict: {type(error).__name__}: {error}")
        try:
            tensors = [_written(name, value) for name, value in self._named(found)]
            content = {"model_name": self._name, "model_version": self._version, "outputs": tensors}
            if "id" in asked:
                content["id"] = asked["id"]
            return json_answer(200, content)
        except Exception as error:
            log(traceback.format_exc())
            return _error(500, f"The model's answer cannot be written as tensors: {error}. Use /invocations.")

    def _data(self, tensors: list[dict[str, Any]]) -> Any:
        import pandas as pd  # type: ignore[import-untyped]

        arrays = {each["name"]: _read(each) for each in tensors}
        schema = self._schema
        if schema is not None and schema.is_tensor_spec():
            if schema.has_input_names():
                return arrays
            return next(iter(arrays.values()))
        names = schema.input_names() if schema is not None and schema.has_input_names() else None
        if len(arrays) == 1 and (names is None or next(iter(arrays)) not in names):
            only = next(iter(arrays.values()))
            if schema is None:
                return only
            if only.ndim == 2:  # all columns in one tensor, in their order
                if names is not None and only.shape[1] != len(names):
                    raise _Wrong(
                        f"The tensor has {only.shape[1]} columns, the model {len(names)}: {', '.join(names)}."
                    )
                return pd.DataFrame(only, columns=names)
        rows = {len(each) if each.ndim else 1 for each in arrays.values()}
        if len(rows) > 1:
            raise _Wrong(f"The tensors have different numbers of rows: {sorted(rows)}.")
        return pd.DataFrame({name: _column(each) for name, each in arrays.items()})

    def _params(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of the request that the signature has; others belong to the protocol."""
        schema = (
            self._model.metadata.get_params_schema()
            if hasattr(self._model.metadata, "get_params_schema")
            else None
        )
        known = {each.name for each in schema.params} if schema else set()
        return {name: value for name, value in (asked.get("parameters") or {}).items() if name in known}

    def _named(self, found: Any) -> list[tuple[str, Any]]:
        import pandas as pd

        if isinstance(found, pd.DataFrame):
            return [(str(name), found[name].to_numpy()) for name in found.columns]
        if isinstance(found, dict):
            return list(found.items())
        names = (
            self._output.input_names() if self._output is not None and self._output.has_input_names() else []
        )
        return [(names[0] if len(names) == 1 else "output", found)]


def _asked(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise _Wrong(f"The request is no JSON: {error}") from None
    tensors = asked.get("inputs") if isinstance(asked, dict) else None
    if not isinstance(tensors, list) or not tensors:
        raise _Wrong('The request must have "inputs": a list of tensors with name, shape, datatype and data.')
    for each in tensors:
        missing = [
            key
            for key in ("name", "shape", "datatype", "data")
            if not isinstance(each, dict) or key not in each
        ]
        if missing:
            raise _Wrong(f"A tensor of the request has no {' and no '.join(missing)}.")
        if each["datatype"] not in DATATYPES:
            raise _Wrong(f"The datatype {each['datatype']!r} is unknown. Use one of {', '.join(DATATYPES)}.")
    return dict(asked)


def _read(tensor: dict[str, Any]) -> Any:
    """Return the array of a tensor, whose data is flat or nested."""
    import numpy as np

    try:
        found = np.array(tensor["data"], dtype=DATATYPES[tensor["datatype"]])
        return found.reshape([int(each) for each in tensor["shape"]])
    except (ValueError, TypeError, OverflowError) as error:
        raise _Wrong(
            f"The data of the tensor {tensor['name']!r} does not fit {tensor['datatype']} {tensor['shape']}: {error}."
        ) from None


def _column(array: Any) -> Any:
    if array.ndim < 2:
        return array.reshape(-1)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else list(array)


def _written(name: str, value: Any) -> dict[str, Any]:
    import numpy as np

    array = np.asarray(value)
    kind = _NAMES.get(array.dtype.name)
    if array.dtype.kind in "UST" or (kind == "BYTES" and all(isinstance(each, str) for each in array.flat)):
        kind, array = "BYTES", array.astype(object)
    elif kind in (None, "BYTES"):
        raise TypeError(f"{name} has the type {array.dtype}")
    data = array.reshape(-1).tolist()
    if array.dtype.kind == "f":
        data = [each if math.isfinite(each) else None for each in data]
    return {"name": name, "shape": list(array.shape), "datatype": kind, "data": data}


def _more(model: Any, schema: Any) -> dict[str, Any]:
    """Return what GenOps Lab tells beside the protocol: the kind of the input, parameters, a request as an example."""
    kind = "unknown" if schema is None else "tensors" if schema.is_tensor_spec() else "columns"
    params = model.metadata.get_params_schema() if hasattr(model.metadata, "get_params_schema") else None
    found: dict[str, Any] = {"kind": kind}
    if params:
        found["params"] = {each.name: each.default for each in params.params}
    folder = getattr(model, "model_folder", "")
    try:
        text = (Path(folder) / "serving_input_example.json").read_text(encoding="utf-8") if folder else ""
        json.loads(text or "0")
    except (OSError, ValueError):  # logged without one
        text = ""
    if text and len(text) <= MAX_EXAMPLE:
        found["example"] = text
    return found


def _described(schema: Any, word: str) -> list[dict[str, Any]]:
    if schema is None:
        return []
    found = []
    for at, each in enumerate(schema.inputs):
        name = each.name or (f"{word}-{at}" if len(schema.inputs) > 1 else word)
        if schema.is_tensor_spec():
            kind = _NAMES.get(each.type.name, "BYTES")
            found.append({"name": name, "datatype": kind, "shape": list(each.shape)})
        else:
            kind = _COLUMNS.get(getattr(each.type, "name", ""), "BYTES")
            found.append({"name": name, "datatype": kind, "shape": [-1]})
    return found


def _error(status: int, text: str) -> Answer:
    return json_answer(status, {"error": text})
