"""An authorizer whose grants a test writes while the server runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jupyter_server.auth import Authorizer

VARIABLE = "TEST_GRANTS"


class Grants(Authorizer):
    """Allows the pairs of action and resource that the file has; all that is not of GenOps."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        if not resource.startswith("genops"):
            return True
        return [action, resource] in json.loads(Path(os.environ[VARIABLE]).read_text())
