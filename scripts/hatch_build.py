"""Add to a wheel what its packages alone do not give: ``scan.c`` built, for this platform (a pure wheel where it cannot
be built, or with GENOPS_NATIVE=0), and ``genops.py`` beside the packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = "genops_lab/profiling/engine/reading/native/scan.so"
MODULE = "genops_lab/kernel/site/genops.py"


class WheelHook(BuildHookInterface[Any]):
    """For wheels, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        if version != "editable":
            self._include_module(build_data)
        if os.environ.get("GENOPS_NATIVE") != "0":
            self._include_library(version, build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        for copy in build_data["force_include"]:
            if build_data["force_include"][copy] == "genops.py":
                shutil.rmtree(Path(copy).parent)

    def _include_module(self, build_data: dict[str, Any]) -> None:
        """Have the wheel hold ``genops.py`` twice: for plain scripts, and in the folder that kernels get on their path.
        A file of the project that is force-included is moved, so a copy from elsewhere is."""
        copy = shutil.copy(Path(self.root) / MODULE, tempfile.mkdtemp())
        build_data["force_include"][copy] = "genops.py"

    def _include_library(self, version: str, build_data: dict[str, Any]) -> None:
        script = Path(self.root) / "scripts" / "build_native.py"
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
        if done.returncode:
            self.app.display_warning(done.stderr.strip())
            return
        if version != "editable":
            build_data["artifacts"].append(BUILT)
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{re.sub('[-.]', '_', sysconfig.get_platform())}"
