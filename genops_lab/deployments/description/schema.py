"""Write the JSON Schema of deployment files, for editors: ``python -m genops_lab.deployments.description.schema``."""

from __future__ import annotations

import json
from pathlib import Path

from genops_lab.core.json_schemas import schema_of

from .document import Description

FILE = Path(__file__).resolve().parents[1] / "deployment.schema.json"


def schema() -> str:
    """Return the schema as JSON."""
    # Patterns of JSON Schema are those of JavaScript, which has no \\Z.
    found = json.loads(schema_of(Description, "Deployment of GenOps Lab").replace("\\\\Z", "$"))
    found["$defs"]["Revision"]["oneOf"] = [{"required": [key]} for key in ("model", "path", "command")]
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
