"""Check the sentences that people read: docs, docstrings, messages and the panel's strings (docs/writing.md).

A sentence has at most 30 words and does not begin with a turned-round opening such as "Of a cell, ...". A page of
docs has at most 1,500 words. Files with faults today are listed with their number in ``sentences.json``. A number may
only become smaller: ``python scripts/sentences.py --write`` writes the list anew.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parent.parent
KNOWN = Path(__file__).with_suffix(".json")
LONGEST = 30
LONGEST_PAGE = 1500
#: Openings that hide the subject. Questions and headings may begin like this.
OPENING = re.compile(r"(Of|What|Who|Whose|None of|Nothing that|That which|Where it|Where there) (?!.*\?$)")
#: Folders and files whose sentences nobody reads, or that are made of others.
MADE = {"__tests__", "_build", "reference", "generated.ts", "_version.py", "CHANGELOG.md"}
WORD = re.compile(r"[^\W_][\w'’./-]*")
END = re.compile(r"(?<=[.!?:;])\s+(?=[A-Z`*\"“(])")
MESSAGE = re.compile(r"[A-Z][^\n]* [^\n]*[.!?]$", re.DOTALL)
TRANSLATED = re.compile(r"""trans\s*\.\s*_?_[np]?\(\s*(['"`])(.*?)(?<!\\)\1""", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the list of known sentences anew")
    parser.add_argument("--show", metavar="FILE", help="print the sentences of one file")
    arguments = parser.parse_args()
    if arguments.show:
        print("\n".join(faults(ROOT / arguments.show)))
        return
    found = {name: len(listed) for path in files() if (listed := faults(path)) and (name := named(path))}
    if arguments.write:
        KNOWN.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n", encoding="utf-8")
        return
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    worse = [name for name, number in sorted(found.items()) if number > known.get(name, 0)]
    for name in worse:
        print(f"{name}: {found[name]} sentences to mend, {known.get(name, 0)} before:")
        print("\n".join(f"  {fault}" for fault in faults(ROOT / name)))
    if worse:
        sys.exit("Write shorter sentences that begin with their subject: docs/writing.md has examples.")
    better = sum(known.values()) - sum(found.values())
    if better:
        print(f"{better} sentences less: `python scripts/sentences.py --write` keeps that.")


def files() -> Iterator[Path]:
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "genops_lab/**/*.py",
        "src/**/*.ts",
        "src/**/*.tsx",
    ):
        for path in sorted(ROOT.glob(pattern)):
            if not MADE & {*path.relative_to(ROOT).parts}:
                yield path


def faults(path: Path) -> list[str]:
    """The sentences of a file that break a rule, each with the rule."""
    text = path.read_text(encoding="utf-8")
    read = {".md": of_markdown, ".py": of_python}.get(path.suffix, of_typescript)
    listed = []
    for sentence in (part for block in read(text) for part in END.split(" ".join(block.split()))):
        words = len(WORD.findall(sentence))
        if words > LONGEST:
            listed.append(f"{words} words: {sentence}")
        elif OPENING.match(sentence) and words > 2:
            listed.append(f"opening: {sentence}")
    if path.suffix == ".md" and (words := len(text.split())) > LONGEST_PAGE:
        listed.append(f"{words} words on the page; {LONGEST_PAGE} are the most")
    return listed


def of_markdown(text: str) -> Iterator[str]:
    """Paragraphs, list items and cells of tables; neither headings, code, nor the column "before" of an example."""
    heading = False
    column, before, head = 0, -1, False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("heading_open", "heading_close"):
            heading = token.nesting == 1
        elif token.type in ("table_open", "table_close"):
            before = -1
        elif token.type == "tr_open":
            column = -1
        elif token.type in ("th_open", "td_open"):
            column, head = column + 1, token.type == "th_open"
        elif token.type == "inline" and head and token.content == "before":
            before = column
        elif token.type == "inline" and not heading and column != before:
            yield "".join(
                {"softbreak": " ", "hardbreak": " ", "image": "", "code_inline": f"`{child.content}`"}.get(
                    child.type, child.content
                )
                for child in token.children or ()
            )


def of_python(text: str) -> Iterator[str]:
    """Docstrings and messages."""
    tree = ast.parse(text)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            if docstring and isinstance(node.body[0], ast.Expr):
                docstrings.add(id(node.body[0].value))
                yield from re.split(r"\n\s*\n|\n\s*[-*|=] ?", re.split(r"(?m)::$", docstring)[0])
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and MESSAGE.match(node.value)
        ):
            yield node.value


def of_typescript(text: str) -> Iterator[str]:
    """Strings that are translated."""
    for found in TRANSLATED.finditer(text):
        yield found[2]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    main()
