"""``genops redaction``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.redaction.documents import DocumentRedactor
from genops_lab.redaction.presidio import recognizer

from .document import Column, Document, Note, Table
from .grammar import noun
from .session import Json, command

redaction = noun()

MAX_BYTES = 20_000_000


class Found(msgspec.Struct):
    """A place that would be redacted, without its value. Line and column count from 1."""

    kind: str
    rule: str
    line: int
    column: int
    length: int
    placeholder: str


class Check(msgspec.Struct):
    """The finds in a text by place, their number by kind, and the programs that searched."""

    found: list[Found]
    counts: dict[str, int]
    searched_by: list[str]


@redaction.command("check")
def check_redaction(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A text file: a log, code, JSON or JSON lines; - reads standard input."
        ),
    ] = "",
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="The text, in place of a file.")] = "",
    personal: Annotated[
        bool,
        typer.Option(
            "--personal/--secrets", help="Search for personal data too (default), or for secrets alone."
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Show what would be redacted in a text, and by which rule.

    Nothing leaves this machine, and no value is shown.
    """
    with command(json) as session:
        if bool(file) == bool(text):
            raise InvalidRequest(
                "A file or --text is needed.", hint="Example: genops redaction check trace.json"
            )
        content = text or _content(file)
        redactor = DocumentRedactor(people=personal, recognize=recognizer() if personal else None)
        found = [Found(*each) for each in redactor.find(content)]
        counts = _counts(redactor, content)
        check = Check(found, counts, list(redactor.searched_by))
        session.show(check, _document(check, personal))


def _content(file: str) -> str:
    if file == "-":
        return sys.stdin.read(MAX_BYTES)
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequest(
                f"{file} has more than {MAX_BYTES // 1_000_000} MB.", hint="Check a part of the file."
            )
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise NotFound(
            f"{file} cannot be read: {error.strerror}.", hint="Give the path of a text file."
        ) from error


def _counts(redactor: DocumentRedactor, content: str) -> dict[str, int]:
    """Count as in a document: JSON, or JSON lines, also by its keys, and values that come again."""
    lines = content.splitlines()
    is_lines = len(lines) > 1 and all(line[:1] in "{[" for line in lines if line.strip())
    return redactor.redact(lines if is_lines else content).counts


def _document(check: Check, personal: bool) -> Document:
    rows = [
        [str(each.line), str(each.column), str(each.length), each.kind, each.rule, each.placeholder]
        for each in check.found
    ]
    columns = [
        *(Column("line", right=True), Column("column", right=True), Column("length", right=True)),
        *(Column("kind"), Column("rule"), Column("placeholder", shrinks=True)),
    ]
    notes = [Note(_said(check, personal))]
    total = sum(check.counts.values())
    if total > len(check.found):
        notes.append(
            Note(f"{total - len(check.found)} more by a key of JSON, or because a value comes again.")
        )
    return Document([Table(columns, rows, empty="Nothing would be redacted."), *notes])


def _said(check: Check, personal: bool) -> str:
    if not personal:
        return "Searched for secrets, by rules."
    if "presidio" in check.searched_by:
        return (
            "Searched for secrets and personal data, by rules; for names of people and places, by Presidio."
        )
    return (
        "Searched for secrets and personal data, by rules. Names of people are not found: "
        "pip install 'genops-lab[personal-data]'"
    )
