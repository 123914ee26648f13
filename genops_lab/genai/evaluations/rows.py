"""Read the rows of an evaluation and write them into prompts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound

from .attachments import parts_of
from .evaluation_file import Message

_FIELD = re.compile(r"\{\{\s*([A-Za-z_][\w.-]*)\s*\}\}")
MAX_BYTES = 500_000_000


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a file by id, in its order. ``digest``: the beginning of the file's SHA-256."""

    digest: str
    by_id: dict[str, dict[str, Any]]


def read_rows(path: Path, id_column: str = "", only: Mapping[str, Any] | None = None) -> Rows:
    """Return the rows of a file of JSON lines, CSV or Parquet. Blocks. Raises NotFound, InvalidRequest.

    only: the values that columns must have. Ids and the digest are those of the whole file, so that the rows of two
    evaluations with other parts of it are the same rows.
    """
    content = _content(path)
    found = _parsed(path, content)
    if not found:
        raise InvalidRequest(f"{path.name} has no rows.", hint="Give at least one row.")
    ids = [str(number) for number in range(1, len(found) + 1)]
    if id_column:
        if any(row.get(id_column) is None for row in found):
            raise InvalidRequest(f"{path.name}: a row has no {id_column!r}.", hint="Each row needs an id.")
        ids = [str(row[id_column]) for row in found]
        double = [each for each, times in Counter(ids).items() if times > 1]
        if double:
            raise InvalidRequest(
                f"{path.name}: the id {double[0]!r} comes {Counter(ids)[double[0]]} times.",
                hint="Ids must be unique.",
            )
    by_id = dict(zip(ids, found, strict=True))
    if only:
        by_id = {id: row for id, row in by_id.items() if _is_among(row, only)}
        if not by_id:
            asked = ", ".join(f"{column} {value}" for column, value in only.items())
            raise InvalidRequest(
                f"{path.name} has no rows with {asked}.", hint=f"Its columns: {', '.join(found[0])}."
            )
    return Rows(digest=digest_of(content), by_id=by_id)


def read_all_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, such as training data. Blocks. Raises NotFound, InvalidRequest."""
    return _parsed(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidRequest(f"{path.name} has {size:,} bytes.", hint=f"Use at most {MAX_BYTES:,} bytes.")
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {path}.", hint="Name a file of JSON lines, CSV or Parquet that is there."
        ) from None


def _is_among(row: Mapping[str, Any], only: Mapping[str, Any]) -> bool:
    """Return whether a row has the values; text of a CSV file equals the number that it writes."""
    return all(
        column in row and (row[column] == value or str(row[column]) == str(value))
        for column, value in only.items()
    )


def digest_of(content: bytes) -> str:
    """Return the digest of a file's content: the beginning of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:36]


def _parsed(path: Path, content: bytes) -> list[dict[str, Any]]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        import pyarrow.parquet as parquet

        rows: list[dict[str, Any]] = parquet.read_table(io.BytesIO(content)).to_pylist()
        return rows
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{path.name} is not text in UTF-8: {error}.", hint="Save it as UTF-8."
        ) from error
    if kind in (".csv", ".tsv"):
        return list(csv.DictReader(io.StringIO(text), delimiter="\t" if kind == ".tsv" else ","))
    found = []
    for number, line in enumerate(
        text.split("\n"), start=1
    ):  # texts may have other ends of lines, such as U+2028
        if line.strip():
            try:
                row = json.loads(line)
                if "\\ud" in line.lower():
                    json.dumps(row, ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise InvalidRequest(
                    f"{path.name}, line {number}: a text has half of a character, {error.object[error.start]!r}.",
                    hint="Remove it: no file can keep it.",
                ) from error
            except ValueError as error:
                raise InvalidRequest(f"{path.name}, line {number}: this is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InvalidRequest(f"{path.name}, line {number}: a row must be an object.")
            found.append(row)
    return found


def fields_of(messages: Sequence[Message]) -> set[str]:
    """Return the columns that messages use.

    >>> fields_of([Message(role="user", content="Capital of {{country}}?")])
    {'country'}
    """
    return {found for each in messages for found in _FIELD.findall(each.content)}


def turns_in(row: Mapping[str, Any], column: str, example: str) -> list[str]:
    """Return what the user says next by a row: texts, or the turns of users among messages. Raises InvalidRequest.

    >>> turns_in({"next": ["And Chile?", {"role": "user", "content": "Thanks."}]}, "next", "1")
    ['And Chile?', 'Thanks.']
    """
    found = []
    for each in _list(row, column, example):
        if isinstance(each, Mapping) and each.get("role") in ("assistant", "system", "tool"):
            continue
        text = each.get("content") if isinstance(each, Mapping) else each
        if not isinstance(text, str):
            raise InvalidRequest(
                f"The row {example} has a turn in {column!r} that is no text.",
                hint="Give texts, or {role, content}.",
            )
        found.append(text)
    return found


def history_in(row: Mapping[str, Any], column: str, example: str) -> list[dict[str, Any]]:
    """Return the earlier turns of a row. Raises InvalidRequest."""
    found = _list(row, column, example)
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.get("role"), str) or "content" not in each:
            raise InvalidRequest(
                f"The row {example} has no turns in {column!r}.", hint="Give a list of {role, content}."
            )
    return found


def _list(row: Mapping[str, Any], column: str, example: str) -> list[Any]:
    """Return a row's list; a CSV file has it as JSON."""
    found = row.get(column)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = [found]
    if not isinstance(found, list):
        raise InvalidRequest(
            f"The row {example} has no list in {column!r}.", hint=f"Its columns: {', '.join(row)}."
        )
    return found


def written(messages: Sequence[Message], row: dict[str, Any], example: str) -> list[dict[str, Any]]:
    """Return the messages with a row's values in place of ``{{column}}``. Raises InvalidRequest.

    >>> written([Message(role="user", content="Capital of {{country}}?")], {"country": "Peru"}, "1")
    [{'role': 'user', 'content': 'Capital of Peru?'}]
    """

    def value(field: re.Match[str]) -> str:
        if field[1] not in row:
            raise InvalidRequest(
                f"The row {example} has no {field[1]!r}, which the prompt uses.",
                hint=f"Its columns: {', '.join(row)}.",
                code="no_column",
            )
        found = row[field[1]]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    found: list[dict[str, Any]] = []
    for each in messages:
        text = _FIELD.sub(value, each.content)
        parts = parts_of(row, each.attach)
        found.append(
            {"role": each.role, "content": [{"type": "text", "text": text}, *parts] if parts else text}
        )
    return found
