"""A scoring process as GenOps Lab started it before it had a gateway: in the folder of its deployment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from genops_lab.agent.model_variables import model_environment
from genops_lab.deployments.targets import local
from tests.support.rooms import eventually

KEY = "a-key-of-before"


def start_as_before(folder: Path, model: Path) -> subprocess.Popen[bytes]:
    """Lay out the folder and start the process. It wrote no handle."""
    folder.mkdir(parents=True, mode=0o700)
    shutil.copytree(model, folder / "model")
    (folder / "key").write_text(KEY)
    (folder / "lease.json").write_text(json.dumps({"until": time.time() + 600}))
    spec = {"folder": folder, "model": folder / "model", "key_file": folder / "key", "lease_s": 600}
    (folder / "spec.json").write_text(json.dumps(spec, default=str))
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(local.SERVER), str(folder / "spec.json")],
            cwd=folder,
            env=model_environment(os.environ, allow_pickle=True),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    eventually(lambda: _state(folder), lambda state: state == "running", 120)
    return process


def _state(folder: Path) -> str:
    try:
        return str(json.loads((folder / "state.json").read_bytes())["state"])
    except OSError:
        return ""
