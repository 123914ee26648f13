"""Has the wheel hold ``scan.c`` built, and be one for this platform; a pure one where it cannot be built, or with
GENOPS_NATIVE=0."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = "genops_lab/profiler/engine/reading/native/scan.so"


class NativeBuildHook(BuildHookInterface[Any]):
    """Of wheels, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or os.environ.get("GENOPS_NATIVE") == "0":
            return
        script = Path(self.root) / "scripts" / "build_native.py"
        told = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        if told.returncode:
            self.app.display_warning(told.stderr.strip())
            return
        if version != "editable":
            build_data["artifacts"].append(BUILT)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}"
