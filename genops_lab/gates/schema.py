"""Write the JSON Schema of ``gates.yaml``, for editors: ``python -m genops_lab.gates.schema``."""

from __future__ import annotations

from pathlib import Path

from genops_lab.core.json_schemas import schema_of

from .plan import Gates

FILE = Path(__file__).with_name("gates.schema.json")


def schema() -> str:
    """Return the schema as JSON."""
    return schema_of(Gates, "Gates of GenOps Lab")


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
