"""The traces of several ranks, which profilers write into one folder."""

from __future__ import annotations

from pathlib import Path

from genops_lab.core.errors import InvalidRequest, NotFound

ENDINGS = (".json", ".json.gz", ".sqlite")
#: More files than that are no training's ranks.
MOST_TRACES = 1024


def traces_in(path: Path) -> list[Path]:
    """The traces in a folder, by name; what is no folder stands for itself.

    Raises NotFound where none is in it, and InvalidRequest where there are too many.
    """
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.iterdir() if each.name.endswith(ENDINGS) and each.is_file())
    if not found:
        raise NotFound(f"There is no trace in {path}.", hint=f"Its files should end in {', '.join(ENDINGS)}.")
    if len(found) > MOST_TRACES:
        raise InvalidRequest(
            f"{path} has {len(found)} files that could be traces.",
            hint=f"Put the traces of one run into a folder of their own, {MOST_TRACES} at most.",
        )
    return found
