"""Sentences are checked as people read them: neither code nor headings, each docstring and each translated string."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("markdown_it", reason="markdown-it-py comes with the extra docs")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import sentences

LONG = "The agent " + "writes the output of every cell to the disk of its host " * 3 + "at once."


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.md", f"# Title\n\n{LONG}\n", ["40 words"]),
        ("a.md", "# Of a host, what is known\n\nThe host is known.\n", []),
        ("a.md", f"```\n{LONG}\n```\n\n- One item.\n- Of a cell, the output.\n", ["opening"]),
        ("a.md", "| head | other |\n|---|---|\n| What was held is small. | 3 GB |\n", ["opening"]),
        ("a.md", "| before | after |\n|---|---|\n| Of a cell, the output. | Of a host, the name. |\n", ["opening"]),
        ("docs/a.md", "The page is long.\n" * 400, ["1600 words on the page; 1500 are the most"]),
        ("a.md", "What is a host?\n", []),
        (
            "a.md",
            "Run the command first. `genops doctor` says what is wrong with this machine and its hosts.\n",
            [],
        ),
        ("a.py", f'def f():\n    """{LONG}"""\n', ["40 words"]),
        ("a.py", 'raise Failed("Of this host nothing is known.")\n', ["opening"]),
        ("a.py", 'x = "Of"\n', []),
        ("a.tsx", "const a = trans.__('Who holds the memory now');\n// Of a comment, nothing\n", ["opening"]),
    ],
)
def test_a_sentence_is_judged_where_people_read_it(tmp_path, name, text, found) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert [fault.split(":")[0] for fault in sentences.faults(path)] == found
