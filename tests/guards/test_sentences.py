"""Sentences are checked as people read them: neither code nor headings, each docstring and each translated string. A
message that the troubleshooting page quotes exists in the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("markdown_it", reason="markdown-it-py comes with the extra docs")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

import quotes
import sentences

LONG = "The agent " + "writes the output of every cell to the disk of its host " * 3 + "at once."


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.md", f"# Title\n\n{LONG}\n", ["40 words"]),
        ("a.md", "# Of a host, what is known\n\nThe host is known.\n", []),
        ("a.md", f"```\n{LONG}\n```\n\n- One item.\n- Of a cell, the output.\n", ["opening"]),
        ("a.md", "| head | other |\n|---|---|\n| What was held is small. | 3 GB |\n", ["opening"]),
        (
            "a.md",
            "| before | after |\n|---|---|\n| Of a cell, the output. | Of a host, the name. |\n",
            ["opening"],
        ),
        ("a.md", "The page is long.\n" * 400, ["1600 words on the page; 1500 are the most"]),
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
    path.write_text(text, encoding="utf-8")
    assert [fault.split(":")[0] for fault in sentences.faults(path)] == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise Failed(f'The host key of {host} is not known, and nobody accepted it.')", True),
        ("raise Failed('The host key of {label} is not'\n  ' known, and nobody accepted it.')", True),
        ("raise Failed(f'The key of {host} is not known.')", False),
        ("# The host key of x is not known, and nobody", False),
    ],
)
def test_a_quote_is_part_of_a_message_with_anything_in_its_gap(
    tmp_path: Path, code: str, found: bool
) -> None:
    (tmp_path / "genops_lab").mkdir()
    (tmp_path / "genops_lab" / "a.py").write_text(code, encoding="utf-8")
    quoted = quotes.quotes("| “The host key of … is not known, and\nnobody” | cause |")
    assert quotes.missing(quoted, tmp_path) == ([] if found else quoted)


def test_a_string_of_the_front_end_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.tsx").write_text(
        "// the Lab's comment\nconst a = trans.__(\"%1's kernel waits for %2\");\n", encoding="utf-8"
    )
    assert quotes.missing(["kernel waits for …"], tmp_path) == []
    assert quotes.missing(["Lab's comment"], tmp_path) == ["Lab's comment"]


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_a_link_of_a_page_outside_of_the_docs_leads_somewhere(name: str) -> None:
    """Sphinx checks the links of the docs."""
    root = Path(__file__).parents[2]
    for target, anchor in re.findall(
        r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", (root / name).read_text(encoding="utf-8")
    ):
        assert (root / target).exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (root / target).read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings], (
                anchor
            )


def test_pages_name_each_picture_and_say_what_it_shows() -> None:
    root = Path(__file__).parents[2]
    pages = [
        root / "README.md",
        *(page for page in (root / "docs").rglob("*.md") if not {"_build", "reference"} & set(page.parts)),
    ]
    named = set()
    for page in pages:
        for alt, target in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            named.add((page.parent / target).resolve())
            assert re.fullmatch(r"[A-Z].{20,}\.", alt), f"{page.name}: {alt!r} is no sentence"
    assert named == set((root / "docs" / "images").iterdir())
