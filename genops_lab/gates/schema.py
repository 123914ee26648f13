"""Write the JSON Schema of ``gates.yaml``, for editors: ``python -m genops_lab.gates.schema``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import msgspec

from .plan import Gates

FILE = Path(__file__).with_name("gates.schema.json")


def schema() -> str:
    """Return the schema as JSON."""
    found = msgspec.json.schema(Gates)
    for kind in found["$defs"].values():
        if "description" in kind:
            # msgspec removes the indentation of docstrings from version 0.23 on.
            kind["description"] = inspect.cleandoc(kind["description"])
    found = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Gates of GenOps Lab",
        **found,
    }
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
