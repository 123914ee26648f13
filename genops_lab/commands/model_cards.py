"""``genops models card`` and ``genops models bom``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from genops_lab.cards.models import Card, KeepCard
from genops_lab.cards.service import CardsService
from genops_lab.core.errors import Failed, InvalidRequest

from .document import Document, Facts, Note
from .grammar import noun
from .model_signing import Name, Version, number
from .session import Json, Session, command
from .writing import write_over

cards = noun()

Output = Annotated[
    str, typer.Option("--output", metavar="FILE", help="Write to this file. Default: standard output.")
]


@cards.command("card")
def card(
    name: Name,
    version: Version = "",
    html: Annotated[bool, typer.Option("--html", help="Write an HTML page in place of Markdown.")] = False,
    output: Output = "",
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the card beside the version's files, for others.")
    ] = False,
    source: Annotated[
        str,
        typer.Option(
            "--from", metavar="FILE", help="Keep this card, which you changed, and make the rest anew."
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Write a model card: a README of data, metrics and limits.

    It is a README.md of Hugging Face, from what is known and what people wrote.
    """
    with command(json) as session:
        at = number(session, name, version)
        if keep or source:
            body = KeepCard(text=_read(source) if source else "")
            found = session.call(CardsService.keep_card, name=name, version=at, body=body)
        else:
            found = session.call(CardsService.get_card, name=name, version=at)
        text = found.text
        if html:
            from genops_lab.cards.page import html as page

            text = page(found.text, f"{found.name} version {found.version}")
        _write(session, found, text, output, _card_view(found, output, kept=bool(keep or source)))


@cards.command("bom")
def bill_of_materials(name: Name, version: Version = "", output: Output = "", json: Json = False) -> None:
    """Write a bill of materials: packages, data sets, base model.

    It has the files, packages, data and base model, as JSON of CycloneDX 1.6.
    """
    with command(json) as session:
        at = number(session, name, version)
        document = session.call(CardsService.get_bill_of_materials, name=name, version=at).document
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        shown = Document([Note(f"The bill of materials is in {output}.")])
        _write(session, document, text, output, shown)


def _write(session: Session, data: object, text: str, output: str, shown: Document) -> None:
    """Write the text to a file and say so, or print it."""
    if output:
        try:
            write_over(Path(output).expanduser(), text)
        except OSError as error:
            raise Failed(
                f"{output} cannot be written: {error.strerror}.",
                hint="Free some disk space, or give another file with --output.",
            ) from error
        session.show(data, shown)
    elif session.json or session.notebook:
        session.show(data, Document([Note(text)]))
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def _card_view(found: Card, output: str, *, kept: bool) -> Document:
    missing = ", ".join(each.what for each in found.missing)
    return Document(
        [
            Note(f"The card of {found.name} version {found.version} is in {output}."),
            Facts(
                [
                    ("missing", missing),
                    ("kept", "beside the version's files" if kept else ""),
                ]
            ),
        ]
    )


def _read(given: str) -> str:
    try:
        return Path(given).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequest(
            f"{given} cannot be read: {reason}.", hint="Give a README.md with --from."
        ) from error
