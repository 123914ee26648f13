"""Write the JSON Schema of evaluation files, for editors: ``python -m genops_lab.genai.evaluations.schema``."""

from __future__ import annotations

from pathlib import Path

from genops_lab.core.json_schemas import schema_of

from .evaluation_file import Evaluation

FILE = Path(__file__).with_name("evaluation.schema.json")


def schema() -> str:
    """Return the schema as JSON."""
    return schema_of(Evaluation, "Evaluations of answers of GenOps Lab")


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
