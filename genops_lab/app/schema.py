"""Generate ``openapi.json`` from the table of operations. The wire types are defined only in Python."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from ..core.errors import ErrorBody
from ..core.models import Changed
from ..core.operations import Operation
from .features import FEATURES, OPERATIONS

OPENAPI = Path(__file__).with_name("openapi.json")
_REF = "#/components/schemas/{name}"


def _query_parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    hints = get_type_hints(query)
    parameters = []
    for field in msgspec.structs.fields(query):
        parameters.append(
            {
                "name": field.encode_name,
                "in": "query",
                "required": field.required,
                "schema": msgspec.json.schema(hints[field.name]),
            }
        )
    return parameters


def openapi(operations: list[Operation], version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of these operations."""
    types: list[Any] = [ErrorBody]
    for operation in operations:
        types += [kind for kind in (operation.body, operation.answer) if kind is not None]
    extra = [kind for kind in _event_types() if kind not in types]
    schemas, components = msgspec.json.schema_components(types + extra, ref_template=_REF)
    for component in components.values():
        if "description" in component:
            # msgspec removes the indentation of docstrings from version 0.23 on.
            component["description"] = inspect.cleandoc(component["description"])
    components["Changed"]["properties"]["kind"] = {
        "enum": [kind for each in FEATURES for kind in each.events]
    }
    by_type = {id(kind): schema for kind, schema in zip(types + extra, schemas, strict=True)}

    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in operation.path_parameters
        ]
        if operation.query is not None:
            parameters += _query_parameters(operation.query)
        described: dict[str, Any] = {
            "operationId": operation.id,
            "summary": operation.summary,
            "tags": [operation.feature],
        }
        if parameters:
            described["parameters"] = parameters
        if operation.body is not None:
            schema = by_type[id(operation.body)]
            described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        answer: dict[str, Any] = {"204": {"description": "Done."}}
        if operation.answer is not None:
            schema = _schema_of(operation.answer, types, schemas)
            kind, text = (
                ("application/x-ndjson", "The items, one on each line.")
                if operation.streams
                else ("application/json", "The answer.")
            )
            answer = {"200": {"description": text, "content": {kind: {"schema": schema}}}}
        error = {"application/json": {"schema": by_type[id(ErrorBody)]}}
        described["responses"] = {**answer, "default": {"description": "The error.", "content": error}}
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "GenOps Lab", "version": version},
        "servers": [{"url": f"/genops/v{version}", "description": "Below the Jupyter server's base URL."}],
        "paths": paths,
        "components": {"schemas": components},
    }


def _schema_of(kind: Any, types: list[Any], schemas: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    for candidate, schema in zip(types, schemas, strict=False):
        if candidate == kind:
            return schema
    raise KeyError(kind)


def _event_types() -> list[Any]:
    """Return the types of the data of events and live topics."""
    return [Changed, *(carried() for feature in FEATURES for carried in feature.topics.values())]


def render() -> str:
    """Return the text of ``openapi.json``."""
    document = openapi(OPERATIONS, version="1")
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write ``openapi.json``, or with ``--check`` fail if it is out of date."""
    text = render()
    if "--check" in sys.argv:
        if OPENAPI.read_text(encoding="utf-8") != text:
            sys.exit(f"{OPENAPI} is out of date: run `make schema` and commit the result.")
        return
    OPENAPI.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
