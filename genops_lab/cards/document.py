"""Join the card that is made with the card that people changed, and take a card apart.

A card is a README.md. A comment before a section that was made names it and holds the hash of its text:
``<!-- genops:details 3f2a9c0d1e2f -->``. A section whose text has another hash was changed by a person, and is kept as
it is. A section without a comment is a person's. The first comment has the hash of each key of the metadata.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.model_yaml import UnreadableModel, parse_yaml

from .models import CardSection

MAX_CHARACTERS = 500_000
METADATA = "metadata"
_HEAD = re.compile(r"<!-- genops:card (?P<hashes>\{.*\}) -->\s*")
_MARK = re.compile(r"<!-- genops:(?P<id>[a-z]+) (?P<hash>[0-9a-f]{12}) -->")
_HEADING = re.compile(r"#{1,2}\s+(?P<title>.*?)\s*#*\s*")
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}|~{3,})")


@dataclass
class Block:
    """A section of a card. ``id`` is empty, and ``made`` (the hash of the text that was made), for a person's own."""

    id: str
    made: str
    text: str

    @property
    def written(self) -> bool:
        """Whether a person wrote or changed the text."""
        return not self.made or self.made != text_hash(self.text)

    @property
    def title(self) -> str:
        """The heading's text."""
        found = _HEADING.fullmatch(self.text.partition("\n")[0])
        return found["title"] if found else ""


@dataclass
class Document:
    """A card: the chunks of its metadata by key, the hashes of those that were made, and its blocks."""

    metadata: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def render(self) -> str:
        """Return the README.md."""
        head = f"<!-- genops:card {msgspec.json.encode(self.hashes).decode()} -->"
        front = "".join(self.metadata.values())
        parts = [f"---\n{front}---", head]
        for block in self.blocks:
            parts.append(
                f"<!-- genops:{block.id} {block.made} -->\n{block.text}" if block.made else block.text
            )
        return "\n\n".join(parts) + "\n"

    def sections(self) -> list[CardSection]:
        """Return the sections in their order. Those of a person have the ids ``own1``, ``own2``, ..."""
        found, own = [], 0
        for block in self.blocks:
            own += not block.made
            id = block.id if block.made else f"own{own}"
            found.append(CardSection(id=id, title=block.title, text=block.text, written=block.written))
        return found


def parse(text: str) -> Document:
    """Take a card apart. Raises InvalidRequest for a metadata block that is not YAML, and for a text too long."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest(
            f"The card has {len(text):,} characters.",
            hint=f"Use at most {MAX_CHARACTERS:,}: link to long texts.",
        )
    text = text.replace("\r\n", "\n").lstrip("\ufeff")
    front = ""
    if text.startswith("---\n"):
        front, found, rest = text[3:].partition("\n---")
        if not found:
            raise InvalidRequest(
                "The metadata of the card has no end.", hint="Write a line with --- below the metadata."
            )
        text = rest.partition("\n")[2]
    document = Document(metadata=chunks(front))
    blocks = _blocks(text)
    for block in blocks:
        head = _HEAD.match(block.text)
        if head and not document.hashes:
            document.hashes = _hashes(head["hashes"])
            block.text = block.text[head.end() :].strip("\n")
    seen: set[str] = set()
    for block in blocks:
        if block.id in seen:  # a copy of a section is a person's own
            block.id = block.made = ""
        elif block.id:
            seen.add(block.id)
    document.blocks = [block for block in blocks if block.text or block.made]
    return document


def chunks(front: str) -> dict[str, str]:
    """Cut the metadata block into the lines of each key at its left edge. Raises InvalidRequest unless it is YAML."""
    try:
        found = parse_yaml(front.encode()) if front.strip() else {}
    except UnreadableModel as error:
        raise InvalidRequest(
            f"The metadata of the card cannot be read: {error}.",
            hint="Write it as YAML, such as license: mit",
        ) from error
    if not isinstance(found, dict):
        raise InvalidRequest(
            "The metadata of the card has no keys.", hint="Write it as YAML, such as license: mit"
        )
    cut: dict[str, str] = {}
    key = ""
    for line in front.split("\n"):
        if line and line[0] not in " \t-#]}" and ":" in line:
            key = line.partition(":")[0].strip().strip("'\"")
        if line.strip():
            cut[key] = f"{cut.get(key, '')}{line}\n"
    if set(cut) - {""} != {str(name) for name in found}:
        raise InvalidRequest(
            "The metadata of the card has a form that GenOps Lab does not keep.",
            hint="Begin each key at the left edge, such as license: mit",
        )
    return cut


def joined(sections: Sequence[CardSection], metadata: dict[str, Any], kept: Document) -> Document:
    """Return the card that is made now, with what people wrote in the kept one."""
    mine = {block.id: block for block in kept.blocks if block.made}
    after: dict[str, list[Block]] = {}
    before = ""
    for block in kept.blocks:
        if block.made:
            before = block.id
        else:
            after.setdefault(before, []).append(block)
    blocks = after.pop("", [])
    for section in sections:
        old = mine.get(section.id)
        changed = old is not None and old.written
        blocks.append(old if old is not None and changed else made(section))
        blocks += after.pop(section.id, [])
    for others in after.values():
        blocks += others
    fresh = {key: _chunk(key, value) for key, value in metadata.items()}
    merged: dict[str, str] = {}
    for key in dict.fromkeys([*fresh, *kept.metadata]):
        was = kept.metadata.get(key)
        is_theirs = was is not None and kept.hashes.get(key) != text_hash(was)
        if was is not None and is_theirs:
            merged[key] = was
        elif key in fresh:
            merged[key] = fresh[key]
    hashes = {key: text_hash(chunk) for key, chunk in fresh.items()}
    return Document(metadata=merged, hashes=hashes, blocks=blocks)


def made(section: CardSection) -> Block:
    """Return a section as a block that was made."""
    return Block(id=section.id, made=text_hash(section.text), text=section.text)


def text_hash(text: str) -> str:
    """Return the first 12 digits of the SHA-256 of a text, without blanks at the ends of lines and of the text."""
    plain = "\n".join(line.rstrip() for line in text.strip().split("\n"))
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _blocks(text: str) -> list[Block]:
    """Cut Markdown at its marks, and at headings of level 1 and 2 outside of fenced code."""
    blocks = [Block("", "", "")]
    lines: list[str] = []
    fence = ""
    marked = False

    def close() -> None:
        blocks[-1].text = "\n".join(lines).strip("\n")
        lines.clear()

    for line in text.split("\n"):
        mark = _MARK.fullmatch(line.strip())
        if mark:  # also in fenced code: a fence that is never closed hides no other section
            close()
            blocks.append(Block(mark["id"], mark["hash"], ""))
            marked, fence = True, ""
            continue
        found = _FENCE.match(line)
        if found and (not fence or (found["fence"].startswith(fence) and line.strip() == found["fence"])):
            fence = "" if fence else found["fence"]
        elif not fence and _HEADING.fullmatch(line) and not (marked and not any(map(str.strip, lines))):
            close()
            blocks.append(Block("", "", ""))
        marked = marked and not line.strip()
        lines.append(line)
    close()
    return blocks


def _chunk(key: str, value: Any) -> str:
    import yaml

    text: str = yaml.safe_dump({key: value}, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _hashes(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return {}
