"""Read an MLmodel file: flavors, signature, example, and whether its loader runs code that the model brings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from genops_lab.experiments.model_yaml import UnreadableModel, parse_description, parse_yaml

from .judged import Judged, code, data, refused, unknown
from .models import ModelField, ModelSignature
from .source import Damaged
from .texts import parse_json

FORMAT = "MLmodel"
MAX_FIELDS = 200
MAX_TEXT = 200
#: Loaders of MLflow that read the files of their library and run nothing else that the model names.
LOADERS = frozenset(
    f"mlflow.{name}"
    for name in [
        "catboost",
        "keras",
        "lightgbm",
        "onnx",
        "paddle",
        "prophet",
        "pytorch",
        "sentence_transformers",
        "sklearn",
        "spacy",
        "statsmodels",
        "tensorflow",
        "transformers",
        "xgboost",
    ]
)
_NONE = ("", "null", "~", "None")


@dataclass(frozen=True, kw_only=True)
class Description:
    """The facts in an MLmodel file."""

    flavors: list[str] = field(default_factory=list)
    signature: ModelSignature | None = None
    example_path: str = ""
    base_model: str = ""


def describe(content: bytes) -> tuple[Judged, Description]:
    """Return the verdict on an MLmodel file and what it says. Never raises for what it holds."""
    try:
        found = parse_description(content)
        whole = parse_yaml(content)
        signature = _signature(whole.get("signature"))
    except (UnreadableModel, Damaged) as error:
        reason = f"It cannot be read: {str(error).removeprefix('It ')}".rstrip(".") + "."
        return refused(FORMAT, reason), Description()
    info = whole.get("saved_input_example_info")
    described = Description(
        flavors=found.names,
        signature=signature,
        example_path=_text(info, "artifact_path"),
        base_model=_text(found.flavors.get("transformers"), "source_model_name"),
    )
    return _judge(found.flavors, found.loader), described


def _judge(flavors: dict[str, dict[str, Any]], loader: str) -> Judged:
    for name, flavor in flavors.items():
        folder = _text(flavor, "code")
        if folder:
            return code(FORMAT, f"It adds the model's folder {folder!r} to Python's path.")
        if _text(flavor, "model_code_path"):
            return code(FORMAT, f"It runs {_text(flavor, 'model_code_path')!r}.")
        chosen = _text(flavor, "model_class")
        if chosen and chosen.split(".")[0] != name:
            return code(FORMAT, f"It calls {chosen!r} of an installed package.")
    if not loader or loader in LOADERS:
        return data(FORMAT)
    if loader.startswith("mlflow.pyfunc."):
        return code(FORMAT, "Its loader runs the Python class that comes with the model.")
    if loader.startswith("mlflow."):
        return unknown(FORMAT, f"Its loader {loader} may run what the model names.")
    return code(FORMAT, f"It imports the module {loader} to load the model.")


def _text(found: Any, key: str) -> str:
    value = found.get(key, "") if isinstance(found, dict) else ""
    return value[:MAX_TEXT] if isinstance(value, str) and value not in _NONE and value.isprintable() else ""


def _signature(found: Any) -> ModelSignature | None:
    """Return the signature, which MLflow writes as JSON inside of YAML. Raises Damaged."""
    if not isinstance(found, dict):
        return None
    inputs, outputs, params = (_fields(found.get(key)) for key in ("inputs", "outputs", "params"))
    return ModelSignature(inputs=inputs, outputs=outputs, params=params)


def _fields(found: Any) -> list[ModelField]:
    if not isinstance(found, str) or found in _NONE:
        return []
    fields = parse_json(found.encode())
    if not isinstance(fields, list):
        raise Damaged("its signature is no list.")
    return [
        ModelField(name=_text(each, "name"), type=_type(each))
        for each in fields[:MAX_FIELDS]
        if isinstance(each, dict)
    ]


def _type(found: dict[str, Any]) -> str:
    """Return a type as people write it: ``float64[?, 2]``, ``double``, ``list of string``."""
    tensor = found.get("tensor-spec")
    if isinstance(tensor, dict):
        shape = tensor.get("shape")
        lengths = shape if isinstance(shape, list) else []
        shown = ", ".join("?" if each == -1 else str(each)[:20] for each in lengths[:16])
        return f"{_text(tensor, 'dtype') or '?'}[{shown}]"
    items = found.get("items")
    if found.get("type") == "array" and isinstance(items, dict):
        return f"list of {_text(items, 'type') or '?'}"
    optional = ", optional" if found.get("required") is False else ""
    return (_text(found, "type") or _text(found, "dtype") or "?") + optional
