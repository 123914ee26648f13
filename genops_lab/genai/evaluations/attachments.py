"""Attach pictures and PDFs to turns: kept beside the evaluation, named in its rows, and sent with the call.

A kept file is named ``attachment:DIGEST-BYTES.KIND`` in rows, messages and the journal. Its content is read when a call
is made, so a thousand pictures are never all in memory.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import importlib
import importlib.util
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paths import private_dir
from genops_lab.genai.endpoints.endpoint import Answer, Connection, Endpoint

MOST_BYTES = 10_000_000
_MOST_OF_ALL = 2_000_000_000
_MOST_CHARACTERS = 2_000_000
#: Tokens that are set aside for a picture: more than any known model counts for one.
_OF_PICTURE = 5000
#: Pictures of up to so many bytes are in the trace too.
_IN_TRACE = 200_000
_PREFIX = "attachment:"
ATTACHMENT = re.compile(r"attachment:([0-9a-f]{32}-(\d{1,10})\.(png|jpeg|gif|webp|pdf))")
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,")
PdfAs = Literal["text", "file"]


class Attachments:
    """Keeps the files of rows. ``source``: the folder of the rows; ``target``: where files are kept. Blocks."""

    def __init__(self, columns: Sequence[str], pdf: PdfAs, source: Path, target: Path) -> None:
        self._columns, self._pdf = columns, pdf
        self._source, self._target = source, target
        self._bytes = 0

    def kept(self, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the rows with names of kept files, and with the texts of PDFs. Raises InvalidRequest, NotFound."""
        if not self._columns:
            return {id: dict(row) for id, row in rows.items()}
        private_dir(self._target)
        return {
            id: {**row, **{column: self._value(id, column, row) for column in self._columns}}
            for id, row in rows.items()
        }

    def _value(self, id: str, column: str, row: Mapping[str, Any]) -> str:
        given = row.get(column)
        if given is None or given == "":
            return ""
        if not isinstance(given, str):
            raise InvalidRequest(
                f"The row {id} has no path in {column!r}.",
                hint="Give a path beside the rows, or a data URL.",
            )
        content = self._content(id, column, given)
        kind = _kind(content)
        if not kind:
            raise InvalidRequest(
                f"The row {id}: {given[:80]!r} in {column!r} is neither a picture nor a PDF.",
                hint="Use PNG, JPEG, GIF, WebP or PDF.",
            )
        if kind == "pdf" and self._pdf == "text":
            return _text_of(content, id, given)
        name = f"{hashlib.sha256(content).hexdigest()[:32]}-{len(content)}.{kind}"
        if not (self._target / name).exists():
            self._bytes += len(content)
            if self._bytes > _MOST_OF_ALL:
                raise InvalidRequest(f"The files of all rows have over {_MOST_OF_ALL:,} bytes.")
            (self._target / name).write_bytes(content)
        return _PREFIX + name

    def _content(self, id: str, column: str, given: str) -> bytes:
        if head := _DATA_URL.match(given):
            size = len(given) * 3 // 4
            try:
                content = b"" if size > MOST_BYTES else base64.b64decode(given[head.end() :], validate=True)
            except binascii.Error as error:
                raise InvalidRequest(f"The row {id} has no base64 in {column!r}: {error}.") from error
        else:
            path = (self._source / given).resolve()
            if not path.is_relative_to(self._source.resolve()):
                raise InvalidRequest(
                    f"The row {id}: {given[:200]} is outside the folder of the rows.",
                    hint="Put it beside the rows.",
                )
            try:
                size = path.stat().st_size
                content = b"" if size > MOST_BYTES else path.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                raise NotFound(f"The row {id}: there is no file {path}.") from None
        if size > MOST_BYTES:
            raise InvalidRequest(
                f"The row {id}: the file in {column!r} has {size:,} bytes.",
                hint=f"Use at most {MOST_BYTES:,} bytes.",
            )
        return content


def digest_with(rows: str, kept: Path) -> str:
    """Return the digest of rows with their kept files. The names of these have their own digests."""
    names = sorted(each.name for each in kept.iterdir()) if kept.is_dir() else []
    return hashlib.sha256("\n".join([rows, *names]).encode()).hexdigest()[:36] if names else rows


def parts_of(row: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the parts of a turn's content for a kept row."""
    found: list[dict[str, Any]] = []
    for column in columns:
        value = str(row.get(column) or "")
        name = ATTACHMENT.fullmatch(value)
        if name and name[3] == "pdf":
            found.append({"type": "file", "file": {"filename": f"{column}.pdf", "file_data": value}})
        elif name:
            found.append({"type": "image_url", "image_url": {"url": value}})
        elif value:
            found.append({"type": "text", "text": value})
    return found


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last turn; a part without one is named."""
    content = messages[-1].get("content") if messages else ""
    if isinstance(content, list):
        return " ".join(text_of_part(part) for part in content)
    return str(content or "")


def text_of_part(part: Mapping[str, Any]) -> str:
    """Return the text of a part of a turn, or its name.

    >>> text_of_part({"type": "image_url", "image_url": {"url": "data:"}})
    '[picture]'
    >>> text_of_part({"type": "file", "file": {"filename": "paper.pdf"}})
    '[file paper.pdf]'
    """
    if isinstance(text := part.get("text"), str) and text:
        return text
    file = part.get("file")
    if isinstance(file, Mapping):
        return f"[file {file.get('filename') or ''}".rstrip() + "]"
    return "[picture]" if part.get("type") in ("image_url", "image") else f"[{part.get('type')}]"


def tokens_of(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return the most input tokens of the kept files in messages."""
    found = 0
    for part in _parts(messages):
        name = ATTACHMENT.fullmatch(_url(part))
        if name:
            found += int(name[2]) if name[3] == "pdf" else _OF_PICTURE
    return found


def with_content(
    messages: Sequence[Mapping[str, Any]], kept: Path, most: int = MOST_BYTES
) -> list[dict[str, Any]]:
    """Return messages with data URLs in place of the names of files of up to ``most`` bytes. Blocks."""

    def part_of(part: Any) -> Any:
        name = ATTACHMENT.fullmatch(_url(part))
        if not name or int(name[2]) > most:
            return part
        media = "application/pdf" if name[3] == "pdf" else f"image/{name[3]}"
        data = base64.b64encode((kept / name[1]).read_bytes()).decode()
        url = f"data:{media};base64,{data}"
        if part["type"] == "file":
            return {**part, "file": {**part["file"], "file_data": url}}
        return {**part, "image_url": {**part["image_url"], "url": url}}

    return [
        {**each, "content": [part_of(part) for part in each["content"]]}
        if isinstance(each.get("content"), list)
        else dict(each)
        for each in messages
    ]


def for_trace(messages: Sequence[Mapping[str, Any]], kept: Path) -> list[dict[str, Any]]:
    """Return messages with small pictures in them. Blocks."""
    return with_content(messages, kept, _IN_TRACE)


class AttachingConnection(Connection):
    """A connection that sends kept files with the messages that name them."""

    def __init__(self, endpoint: Endpoint, kept: Path) -> None:
        super().__init__(endpoint)
        self._kept = kept

    async def ask(self, messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> Answer:
        """Return the answer to messages. Raises CallFailed."""
        if tokens_of(messages):
            messages = await asyncio.to_thread(with_content, messages, self._kept)
        return await super().ask(messages, settings)


def _parts(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [
        part for each in messages if isinstance(each.get("content"), list) for part in each["content"]
    ]  # fmt: skip


def _url(part: Any) -> str:
    if not isinstance(part, Mapping):
        return ""
    inner = part.get("image_url") or part.get("file") or {}
    return str(inner.get("url") or inner.get("file_data") or "") if isinstance(inner, Mapping) else ""


def _kind(content: bytes) -> str:
    """Return the kind of a file by its first bytes; empty for others."""
    for kind, first in (
        ("png", b"\x89PNG\r\n"),
        ("jpeg", b"\xff\xd8\xff"),
        ("gif", b"GIF8"),
        ("pdf", b"%PDF-"),
    ):
        if content.startswith(first):
            return kind
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else ""


def _text_of(content: bytes, id: str, given: str) -> str:
    """Return the text of a PDF by pypdf. Raises InvalidRequest."""
    if importlib.util.find_spec("pypdf") is None:
        raise InvalidRequest(
            f"The row {id} has a PDF, and pypdf, which reads its text, is not installed.",
            hint="pip install pypdf, or write pdf: file for an endpoint that takes PDFs.",
        )
    pypdf = importlib.import_module("pypdf")
    try:
        pages = pypdf.PdfReader(io.BytesIO(content)).pages
        text = "\n\n".join(page.extract_text() for page in pages).strip()
    except Exception as error:  # damaged PDFs raise many kinds
        raise InvalidRequest(
            f"The row {id}: the PDF {given[:80]!r} cannot be read: {type(error).__name__}: {error}"[:400]
        ) from error
    if not text:
        raise InvalidRequest(
            f"The row {id}: the PDF {given[:80]!r} has no text, such as one of scanned pages.",
            hint="Give pictures of its pages, or write pdf: file for an endpoint that takes PDFs.",
        )
    return text[:_MOST_CHARACTERS]
