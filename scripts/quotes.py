"""Check that the messages that docs/troubleshooting.md quotes exist in the code.

The page quotes a message in “ ” and writes … for a part that varies. A message that was rewritten, and not its quote,
is an error.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs/troubleshooting.md")
QUOTE = re.compile(r"“([^”]+)”")
VARIES = "…"
#: Fields of ``str.format`` and of translated strings.
FIELD = re.compile(r"\{\w*\}|%\d")
#: A string of one line: an apostrophe in a comment hides no more than its line.
TYPESCRIPT = re.compile(r"""(['"])((?:\\.|(?!\1)[^\n\\])*)\1""")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout whose code is read")
    root = parser.parse_args().root
    quoted = quotes((ROOT / PAGE).read_text(encoding="utf-8"))
    lost = missing(quoted, root)
    for quote in lost:
        print(f"{PAGE}: no message in genops_lab or src reads: {quote}")
    if lost:
        sys.exit("Write the messages as they are now.")


def quotes(text: str) -> list[str]:
    """Return the quoted messages of a page, each on one line."""
    return [" ".join(quote.split()) for quote in QUOTE.findall(text)]


def missing(quoted: list[str], root: Path) -> list[str]:
    """Return the quotes that are part of no message below ``root``."""
    patterns = {
        quote: re.compile(".*?".join(re.escape(part.strip()) for part in quote.split(VARIES)))
        for quote in quoted
    }
    for message in messages(root):
        patterns = {quote: pattern for quote, pattern in patterns.items() if not pattern.search(message)}
    return list(patterns)


def messages(root: Path) -> Iterator[str]:
    """Yield each string of the code on one line, with … for what it is filled with."""
    for path in sorted((root / "genops_lab").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield one_line(
                    "".join(
                        str(part.value) if isinstance(part, ast.Constant) else VARIES for part in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield one_line(node.value)
    for path in sorted((root / "src").rglob("*.ts*")):
        if "__tests__" not in path.parts:
            for found in TYPESCRIPT.finditer(path.read_text(encoding="utf-8")):
                yield one_line(found[2])


def one_line(text: str) -> str:
    return " ".join(FIELD.sub(VARIES, text).split())


if __name__ == "__main__":
    main()
