"""Programs of ``scripts/``, which is no package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

# At the end: a script's name hides no package's.
sys.path.append(str(Path(__file__).parents[2] / "scripts"))
build_native = importlib.import_module("build_native")
dev = importlib.import_module("dev")
python_packages = importlib.import_module("python_packages")
release = importlib.import_module("release")
steps = importlib.import_module("steps")
work_folder = importlib.import_module("work_folder")
