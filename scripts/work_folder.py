"""The folder ``work`` of a checkout, in which ``make lab`` opens JupyterLab: the examples, copied once.

Git ignores it: what a person does there never makes the clone dirty, and the file browser does not begin among
node_modules. It lies in the checkout and not in the home, where a clone should leave nothing behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from steps import ROOT, say

WORK = ROOT / "work"


def find_examples() -> list[Path]:
    """Return the example notebooks of the checkout."""
    return [*ROOT.glob("genops_lab/quickstart/*.ipynb")]


def copy_examples(sources: Sequence[Path], target: Path = WORK) -> Path:
    """Copy the notebooks that are missing in ``target`` or newer in ``sources``; return ``target``. A copy that the
    person changed stays as it is."""
    target.mkdir(exist_ok=True)
    # Hashes of the examples as they were copied tell the person's changes from ours.
    record = target / ".examples.json"
    copied: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    for example in sources:
        copy = target / example.name
        new = _hash(example)
        if copy.exists() and copied.get(example.name) == new:
            continue
        if copy.exists() and _hash(copy) not in (new, copied.get(example.name)):
            say(f"{copy.name} has your changes and stays; the new one is {example}")
            continue
        copy.write_bytes(example.read_bytes())
        copied[example.name] = new
    record.write_text(json.dumps(copied, indent=1))
    return target


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
