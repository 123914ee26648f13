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
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    several = (
        not given and int(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")).get("workers") or 1) > 1
    )
    name = "sleeping" if given.get("sleep") else "workers" if several else "process"
    program = importlib.import_module(f"genops_scorer.{name}")
    return int(program.main(*sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
