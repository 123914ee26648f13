"""Write the JSON Schema of a struct that people write as a file, for their editors."""

from __future__ import annotations

import inspect
import json
from typing import Any

import msgspec


def schema_of(kind: type[msgspec.Struct], title: str) -> str:
    """Return the schema as JSON, with the docstrings as descriptions."""
    found: dict[str, Any] = msgspec.json.schema(kind)
    for each in found["$defs"].values():
        if "description" in each:
            # msgspec removes the indentation of docstrings from version 0.23 on.
            each["description"] = inspect.cleandoc(each["description"])
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **found}
    return json.dumps(found, indent=1) + "\n"
