"""Write the reference pages from the code: commands, magics, settings, operations of the server."""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import genops_lab
from genops_lab.app.extension import GenOpsLab
from genops_lab.commands.grammar import END, WORDS
from genops_lab.runtime.options import memory_parser, profile_parser, track_parser
from genops_lab.runtime.sweeping import sweep_parser

PACKAGE = Path(genops_lab.__file__).parent
NOTE = "This page is generated from the code."


def write(folder: Path) -> None:
    """Write every page of the reference into ``folder``."""
    folder.mkdir(exist_ok=True)
    pages = {"magics": magics(), "settings": settings(), **commands(), **operations()}
    pages["index"] = "# Reference\n\n" + toctree(("genops", "magics", "settings", "operations"))
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def commands() -> dict[str, str]:
    """A page a group of ``genops``, as Typer describes it, and one of all groups."""
    text = subprocess.run(
        [sys.executable, "-m", "typer", "genops_lab.commands.main", "utils", "docs", "--name", "genops"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    head, *groups = re.split(r"(?m)^(?=## `genops )", html.unescape(text))
    head = whole_sentences(head, {word: each.help for word, each in WORDS.items()})
    head = head.replace(END.strip(), f"```text\n{END}```")
    pages = {}
    for group in groups:
        name = re.match(r"## `genops ([\w-]+)`", group)
        assert name is not None
        sentences = dict(re.findall(r"(?m)^### `genops [\w-]+ ([\w-]+)`\n\n(.+)$", group))
        pages[f"genops-{name[1]}"] = re.sub(r"(?m)^#(#+ )", r"\1", whole_sentences(group, sentences))
    return {"genops": f"{head}\n{NOTE}\n\n{toctree(pages)}", **pages}


def whole_sentences(page: str, sentences: dict[str, str]) -> str:
    """The page with these sentences in its list of commands, where Typer cuts them after 45 characters."""
    return re.sub(
        r"(?m)^\* `([\w-]+)`: .*$",
        lambda found: f"* `{found[1]}`: {sentences[found[1]]}" if found[1] in sentences else found[0],
        page,
    )


def magics() -> str:
    """What each magic takes, from its own parser."""
    parsers = [track_parser(), profile_parser(), sweep_parser(), memory_parser()]
    return "\n".join(["# Magics", "", NOTE, "", *(line for parser in parsers for line in magic(parser))])


def magic(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (f"## `{parser.prog}`", "")
    if parser.description:
        yield from (parser.description, "")
    rows = []
    for action in parser._actions:
        names = ", ".join(action.option_strings) or action.dest
        value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
        rows.append(
            (f"`{names}{value}`", (action.help or "") % {"default": action.default, "prog": parser.prog})
        )
    yield from table(("option", "meaning"), rows)


def settings() -> str:
    """The traits of the server extension."""
    rows = []
    for name, trait in sorted(GenOpsLab.class_own_traits(config=True).items()):
        default = trait.default_value_repr()
        rows.append((f"`{name}`", type(trait).__name__, f"`{default}`", trait.help))
    return "\n".join(
        [
            "# Settings of the server",
            "",
            f"{NOTE} Set them in `jupyter_server_config.py`, such as `c.GenOpsLab.keep_local_kernels = True`.",
            "",
            *table(("setting", "type", "default", "meaning"), rows),
        ]
    )


def operations() -> dict[str, str]:
    """A page a feature with the operations that it offers over HTTP."""
    document = json.loads((PACKAGE / "app" / "openapi.json").read_text(encoding="utf-8"))
    features: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            called = f"`{verb.upper()} {path}`"
            features[operation["tags"][0]].append(
                (called, operation["operationId"], operation.get("summary", ""))
            )
    pages = {}
    for feature, rows in sorted(features.items()):
        lines = [f"# Operations of {feature}", "", NOTE, "", *table(("request", "id", "meaning"), rows)]
        pages[f"operations-{feature}"] = "\n".join(lines)
    head = [
        "# Operations of the server",
        "",
        "Every operation lies below `/genops/v1` of the Jupyter server and needs its authentication.",
        "`genops_lab/app/openapi.json` has the types.",
        "",
    ]
    return {"operations": "\n".join(head) + "\n" + toctree(pages), **pages}


def table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
    yield ""


def toctree(pages: Iterable[str]) -> str:
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *pages, "```", ""])
