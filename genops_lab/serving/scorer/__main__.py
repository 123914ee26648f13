"""Start the scoring process: ``python __main__.py spec.json``."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path


def main() -> int:
    """Load this folder under a name of its own: a model may have modules of the names of these files."""
    folder = Path(__file__).resolve().parent
    if sys.path and Path(sys.path[0] or ".").resolve() == folder:
        del sys.path[0]
    found = importlib.util.spec_from_file_location(
        "genops_scorer", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert found is not None
    assert found.loader is not None
    package = importlib.util.module_from_spec(found)
    sys.modules["genops_scorer"] = package
    found.loader.exec_module(package)
    sleeps = bool(json.loads(sys.argv[2]).get("sleep")) if len(sys.argv) > 2 else False
    program = importlib.import_module(f"genops_scorer.{'sleeping' if sleeps else 'process'}")
    return int(program.main(*sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
