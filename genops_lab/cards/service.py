"""Make, keep and change model cards, and write bills of materials."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.registry.service import RegistryService

from .backends.knowledge import CardKnowledge
from .document import METADATA, Document, chunks, joined, parse
from .materials import bill_of_materials
from .models import BillOfMaterials, Card, KeepCard, Known, WriteSection
from .sections import gaps, generated, metadata

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection


class CardsService:
    """The operations of cards."""

    def __init__(self, mlflow: MlflowConnection, registry: RegistryService, events: EventBus) -> None:
        self._mlflow = mlflow
        self._registry = registry
        self._events = events

    async def get_card(self, name: str, version: str) -> Card:
        """Make the card of a version from what is known now, with what people wrote. Nothing is changed."""
        known = await self._known(name, version)
        kept, digest = await self._kept(known)
        return _card(known, await asyncio.to_thread(_made, known, kept), digest)

    async def keep_card(self, name: str, version: str, body: KeepCard) -> Card:
        """Keep a card beside the version's files: the one that is made now, or a text that somebody wrote."""
        known = await self._known(name, version)
        if body.text:
            if body.expected is not None:
                await self._expect(known, body.expected)
            written = await asyncio.to_thread(parse, body.text)
        else:
            written, digest = await self._kept(known)
            _same(known, body.expected, digest)
        return await self._write(known, await asyncio.to_thread(_made, known, written))

    async def write_section(self, name: str, version: str, section: str, body: WriteSection) -> Card:
        """Replace the text of one section, and keep the card. An empty text makes the section anew."""
        known = await self._known(name, version)
        kept, digest = await self._kept(known)
        _same(known, body.expected, digest)
        whole = await asyncio.to_thread(_made, known, kept)
        changed = await asyncio.to_thread(_replaced, whole, section, body.text)
        return await self._write(known, await asyncio.to_thread(_made, known, changed))

    async def get_bill_of_materials(self, name: str, version: str) -> BillOfMaterials:
        """Return the CycloneDX document of a version. Files on another machine are fetched to hash them."""
        known = await self._known(name, version)
        files = await self._mlflow.call_long(CardKnowledge.hashed, name, known.version)
        return BillOfMaterials(document=bill_of_materials(known, files))

    async def _known(self, name: str, version: str) -> Known:
        found = await self._registry.resolve(name, version)
        return await self._mlflow.call(CardKnowledge.known, name, found.version)

    async def _kept(self, known: Known) -> tuple[Document, str]:
        """Return the kept card and its digest; an empty one and '' without a card."""
        content = await self._mlflow.call(CardKnowledge.read_card, known.name, known.version)
        if content is None:
            return Document(), ""
        try:
            return await asyncio.to_thread(parse, content.decode()), _digest(content)
        except (UnicodeDecodeError, GenOpsError) as error:
            reason = error.message if isinstance(error, GenOpsError) else "It is not UTF-8."
            raise Failed(
                f"The kept card of {known.name} version {known.version} cannot be read. {reason}",
                hint="Replace it: genops models card MODEL --version VERSION --from FILE",
            ) from error

    async def _expect(self, known: Known, expected: str) -> None:
        content = await self._mlflow.call(CardKnowledge.read_card, known.name, known.version)
        _same(known, expected, "" if content is None else _digest(content))

    async def _write(self, known: Known, document: Document) -> Card:
        content = document.render().encode()
        await self._mlflow.call(CardKnowledge.write_card, known.name, known.version, content)
        self._events.emit("model", known.name)
        return _card(known, document, _digest(content))


def _made(known: Known, kept: Document) -> Document:
    return joined(generated(known), metadata(known), kept)


def _card(known: Known, document: Document, digest: str) -> Card:
    sections = document.sections()
    found = gaps(sections)
    keys = document.metadata
    found = [each for each in found if each.what not in ("license", "language") or each.what not in keys]
    return Card(
        name=known.name,
        version=known.version,
        text=document.render(),
        metadata="".join(document.metadata.values()),
        sections=sections,
        missing=found,
        kept=bool(digest),
        digest=digest,
    )


def _same(known: Known, expected: str | None, digest: str) -> None:
    if expected is not None and expected != digest:
        raise Conflict(
            f"Somebody else changed the card of {known.name} version {known.version}.",
            hint="Copy your text, read the card again, and write it there.",
            code="card_changed",
        )


def _replaced(whole: Document, section: str, text: str) -> Document:
    if section == METADATA:
        hashes = whole.hashes
        return Document(metadata=chunks(text), hashes=hashes, blocks=whole.blocks)
    places = {each.id: block for each, block in zip(whole.sections(), whole.blocks, strict=True)}
    if section not in places:
        raise NotFound(
            f"The card has no section {section!r}.",
            hint=f"Its sections are: {', '.join(places)}, {METADATA}.",
        )
    block = places[section]
    if text.strip():
        if parse(text).metadata:
            raise InvalidRequest(
                "The text begins with metadata.", hint="Change the metadata in the section Metadata."
            )
        plain = text.strip("\n")
        block.text = plain if plain.startswith("#") else f"{block.text.partition(chr(10))[0]}\n\n{plain}"
        blocks = whole.blocks
    else:
        blocks = [each for each in whole.blocks if each is not block]
    return Document(metadata=whole.metadata, hashes=whole.hashes, blocks=blocks)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
