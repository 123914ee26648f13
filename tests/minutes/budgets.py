"""Each folder's budget of CPU minutes (``budgets.toml``), and whether they add up."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .figures import Run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True)
class Budgets:
    """CPU minutes. ``whole``: what a complete run may use. ``reserve``: what is kept free of it."""

    whole: float
    reserve: float
    folders: dict[str, float]


def budgets(file: Path = FILE) -> Budgets:
    """Return the committed budgets."""
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    return Budgets(whole=content["whole"], reserve=content["reserve"], folders=content["folders"])


def keep_budgets(run: Run, file: Path = FILE) -> None:
    """Write each folder's budget anew: its CPU in a complete run and a fifth more, less where all do not fit."""
    found = budgets(file)
    used = {folder: seconds / 60 for folder, seconds in run.by_folder().items()}
    factor = min(1.2, (found.whole - found.reserve) / sum(used.values()))
    lines = [f'"{folder}" = {max(1, int(used[folder] * factor * 100)) / 100:g}' for folder in sorted(used)]
    head = file.read_text(encoding="utf-8").partition("[folders]")[0]
    file.write_text(head + "\n".join(["[folders]", *lines, ""]), encoding="utf-8")


def what_does_not_add_up(found: Budgets, root: Path) -> list[str]:
    """Return what is wrong with the budgets of a checkout: too large together, a folder without one or gone."""
    wrong = []
    given = sum(found.folders.values())
    if given > found.whole - found.reserve:
        wrong.append(
            f"The budgets of tests add up to {given:g} CPU minutes, and {found.whole - found.reserve:g} are there "
            f"({found.whole:g} less a reserve of {found.reserve:g}). Make tests cheaper and lower a budget "
            f"in tests/minutes/{FILE.name}."
        )
    there = {str(file.parent.relative_to(root)) for file in (root / "tests").rglob("test_*.py")}
    for folder in sorted(there - found.folders.keys()):
        wrong.append(f"{folder} has no budget of CPU minutes. Add it to tests/minutes/{FILE.name}.")
    for folder in sorted(found.folders.keys() - there):
        wrong.append(f"{folder} has a budget and no tests. Take it out of tests/minutes/{FILE.name}.")
    return wrong


def passed_by(run: Run, found: Budgets) -> list[str]:
    """Return a sentence for each folder whose tests used more than its budget."""
    return [
        f"{folder} used {seconds / 60:.1f} CPU minutes, and its budget is {found.folders[folder]:g}."
        for folder, seconds in sorted(run.by_folder().items())
        if folder in found.folders and seconds > 60 * found.folders[folder]
    ]
