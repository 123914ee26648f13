"""The style files of the front end."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

STYLE = Path(__file__).parents[2] / "style"


def loaded_with(name: str) -> set[str]:
    """The style files that come with this one, itself included."""
    imported = re.findall(r"@import\s+(?:url\()?['\"]([^'\"]+\.css)", (STYLE / name).read_text())
    folder = posixpath.dirname(name)
    return {name}.union(*(loaded_with(posixpath.join(folder, each)) for each in imported))


def test_each_style_file_is_loaded() -> None:
    assert {path.relative_to(STYLE).as_posix() for path in STYLE.rglob("*.css")} == loaded_with("index.css")
