"""Redact structured data: JSON, chat messages, arguments of tools, spans of traces, rows and tables.

A placeholder replaces each secret and each piece of personal data: ``[email 1]``. The same value has the same
placeholder, so that a conversation stays readable. Redacting twice changes nothing more.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import personal
from .assigned import PLACEHOLDER as _STAND_IN
from .presidio import KINDS as PRESIDIO_KINDS
from .rules import ASSIGNED, BY_NAME, SECRET_KINDS, Counts, Piece, Recognizer, Rules, any_of
from .secret_names import MIN_VALUE, is_secret_name

KINDS = (*SECRET_KINDS, *personal.KINDS, *PRESIDIO_KINDS)
#: The form of a placeholder; its groups are the kind and the number.
PLACEHOLDER = re.compile(r"\[({}) (\d{{1,7}})\]".format("|".join(re.escape(kind) for kind in KINDS)))

#: Names of headers and cookies that no program's variable has.
_HEADER = re.compile(r"(?i)(?:proxy[-_])?authorization|(?:set[-_])?cookie|x[-_](?:api|auth)[-_](?:key|token)")
_ONLY_TOKEN = re.compile(r"(?i)^(?:.*[_-])?tokens?$")
#: ``{"name": "password", "value": ...}``: environments of containers, headers, forms.
_NAME_KEYS, _VALUE_KEYS = ("name", "key", "header"), ("value", "val")
#: JSON in JSON: deeper texts are searched as texts.
_MAX_DEPTH = 40
_MAX_NESTED_JSON = 6


class Redacted(NamedTuple):
    """A document without its secrets, what was found by kind, and what searched for it."""

    document: Any
    counts: Counts
    searched_by: Tuple[str, ...]


class Finding(NamedTuple):
    """Where a text has something: its kind, the rule, the line and column (from 1) and the length."""

    kind: str
    rule: str
    line: int
    column: int
    length: int
    placeholder: str


class Placeholders:
    """The placeholders of one document or trace: a value has the same one in all of its parts."""

    def __init__(self) -> None:
        self._given: Dict[str, str] = {}
        self._last: Dict[str, int] = {}

    def of(self, kind: str, value: str) -> str:
        """Return the placeholder of a value; the next number of its kind if it is new."""
        if value not in self._given:
            self._last[kind] = self._last.get(kind, 0) + 1
            self._given[value] = f"[{kind} {self._last[kind]}]"
        return self._given[value]

    def reserve(self, text: str) -> None:
        """Give no number anew that the text already has."""
        for kind, number in PLACEHOLDER.findall(text) if "[" in text else ():
            self._last[kind] = max(self._last.get(kind, 0), int(number))

    def known(self) -> Dict[str, str]:
        """Return the placeholders by value, the longest value first."""
        long = [value for value in self._given if len(value) >= MIN_VALUE]
        return {value: self._given[value] for value in sorted(long, key=lambda value: (-len(value), value))}


class DocumentRedactor:
    """Redacts documents. ``values`` are known secrets; ``people``: personal data too.

    ``recognize`` finds names of people and places (:func:`.presidio.recognizer`); without it the rules alone do.

    >>> DocumentRedactor(people=True).redact({"to": "ada@example.com", "password": "mellon"}).document
    {'to': '[email 1]', 'password': '[secret value 1]'}
    """

    def __init__(
        self, values: Iterable[str] = (), *, people: bool = False, recognize: Optional[Recognizer] = None
    ) -> None:
        self._rules = Rules(values, fixed=PLACEHOLDER.pattern, people=people, recognize=recognize)
        self.searched_by = ("rules", *(("presidio",) if people and recognize is not None else ()))

    def redact(self, document: Any, placeholders: Optional[Placeholders] = None) -> Redacted:
        """Redact a text, bytes, a mapping, a list, a DataFrame, or any nesting of these.

        Other values (numbers, dates, objects) stay as they are. With ``placeholders`` of earlier parts, a value that
        one of these had has its placeholder here too. The document is not changed; parts without a finding
        are the same objects.
        """
        given = Placeholders() if placeholders is None else placeholders
        _each_text(document, given.reserve)
        walk = _Walk(self._rules, given)
        found = walk.value(document, 0)
        known = given.known()
        if known:
            found = _Again(known, walk.counts).value(found, 0)
        return Redacted(found, walk.counts, self.searched_by)

    def find(self, text: str) -> List[Finding]:
        """Return where a text has secrets or personal data, without their values."""
        given = Placeholders()
        given.reserve(text)
        found: List[Finding] = []
        line, column = 1, 1
        for piece in self._rules.split(text):
            if piece.kind:
                shown = given.of(piece.kind, piece.text)
                found.append(Finding(piece.kind, piece.rule, line, column, len(piece.text), shown))
            line += piece.text.count("\n")
            last = piece.text.rpartition("\n")
            column = len(last[2]) + (1 if last[1] else column)
        return found


class _Mapped:
    """Walks through a document and copies what changes."""

    def text(self, text: str, depth: int) -> str:
        raise NotImplementedError

    def item(self, key: Any, value: Any, depth: int) -> Any:
        return self.value(value, depth)

    def value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.text(value, depth) if value else value
        if depth > _MAX_DEPTH:
            # Nothing so deep is kept: it was not searched.
            return "[too deep]" if isinstance(value, (dict, list, tuple, bytes)) else value
        if isinstance(value, dict):
            return self._mapping(value, depth)
        if isinstance(value, (list, tuple)):
            items = [self.value(item, depth + 1) for item in value]
            if all(new is old for new, old in zip(items, value)):  # noqa: B905 - Python 3.8
                return value
            if isinstance(value, tuple):
                return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
            return items
        if isinstance(value, bytes):
            text = value.decode("utf-8", "surrogateescape")
            found = self.text(text, depth)
            return value if found == text else found.encode("utf-8", "surrogateescape")
        if hasattr(value, "columns") and hasattr(value, "iloc"):
            return self._table(value, depth)
        return value

    def _mapping(self, value: Dict[Any, Any], depth: int) -> Any:
        found: Dict[Any, Any] = {}
        changed = False
        for key, item in value.items():
            new_key = self.text(key, depth) if isinstance(key, str) else key
            found[new_key] = self.item(key, item, depth + 1)
            changed = changed or new_key != key or found[new_key] is not item
        return found if changed else value

    def _table(self, frame: Any, depth: int) -> Any:
        """Redact the columns of a DataFrame that hold texts or objects; the index too."""
        found = frame.copy()
        for place, name in enumerate(frame.columns):
            column = frame.iloc[:, place]
            if getattr(column.dtype, "kind", "O") in "biufcmM":
                continue
            cells = column.tolist()
            new = [self.item(name, cell, depth + 1) for cell in cells]
            if any(one is not other for one, other in zip(new, cells)):  # noqa: B905
                found.isetitem(place, type(column)(new, index=frame.index, dtype="object"))
        for axis in ("index", "columns"):
            labels = getattr(frame, axis)
            if getattr(labels, "nlevels", 1) == 1 and getattr(labels.dtype, "kind", "O") not in "biufcmM":
                old = labels.tolist()
                setattr(
                    found,
                    axis,
                    type(labels)([self.value(label, depth + 1) for label in old], name=labels.name),
                )
        return found


class _Walk(_Mapped):
    """Finds secrets and personal data."""

    def __init__(self, rules: Rules, placeholders: Placeholders) -> None:
        self._rules = rules
        self._placeholders = placeholders
        self._nested = 0
        self.counts: Counts = {}

    def text(self, text: str, depth: int) -> str:
        if text[0] in "{[" and text.rstrip()[-1:] in ("}", "]") and self._nested < _MAX_NESTED_JSON:
            found = self._json(text, depth)
            if found is not None:
                return found
        pieces = self._rules.split(text)
        return "".join(map(self._shown, pieces)) if any(piece.kind for piece in pieces) else text

    def item(self, key: Any, value: Any, depth: int) -> Any:
        if isinstance(key, str) and _is_secret_key(key):
            return self._secret(key, value, depth)
        return self.value(value, depth)

    def _mapping(self, value: Dict[Any, Any], depth: int) -> Any:
        named = next((value[key] for key in _NAME_KEYS if isinstance(value.get(key), str)), None)
        if named is not None and _is_secret_key(named):
            secrets = {key: self._secret(named, value[key], depth) for key in _VALUE_KEYS if key in value}
            if any(secrets[key] is not value[key] for key in secrets):
                value = {**value, **secrets}
        if "logprob" in value and isinstance(value.get("token"), str):
            # The probability of a piece of a text, in answers of OpenAI's form.
            others = {key: item for key, item in value.items() if key != "token"}
            found = super()._mapping(others, depth)
            return value if found is others else {**value, **found}
        return super()._mapping(value, depth)

    def _shown(self, piece: Piece) -> str:
        if not piece.kind:
            return piece.text
        self.counts[piece.kind] = self.counts.get(piece.kind, 0) + 1
        return self._placeholders.of(piece.kind, piece.text)

    def _secret(self, key: str, value: Any, depth: int) -> Any:
        """Redact a value below a secret's name, whatever its form."""
        if isinstance(value, (list, tuple)):
            items = [self._secret(key, item, depth + 1) for item in value]
            return items if any(new is not old for new, old in zip(items, value)) else value  # noqa: B905
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**5:
            value = value if "token" in key.lower() else str(value)
        if not isinstance(value, str) or not _is_secret_text(key, value):
            return self.value(value, depth)
        found = self.text(value, depth) if value else value
        if found != value and (PLACEHOLDER.fullmatch(found) or _HEADER.fullmatch(key)):
            return found  # by a rule that says more, such as: github token
        return self._shown(Piece(value, ASSIGNED, BY_NAME))

    def _json(self, text: str, depth: int) -> Optional[str]:
        """Redact a text that is JSON; None if it is none. It stays as it is where nothing is found."""
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            return None
        self._nested += 1
        try:
            found = self.value(parsed, depth + 1)
        finally:
            self._nested -= 1
        return text if found is parsed else json.dumps(found, ensure_ascii=False)


class _Again(_Mapped):
    """Puts the placeholders of values that were found in place wherever these come again."""

    def __init__(self, known: Dict[str, str], counts: Counts) -> None:
        self._counts = counts
        spelled = {spelling: shown for value, shown in known.items() for spelling in _spellings(value)}
        self._known = spelled
        self._pattern = re.compile(any_of(sorted(spelled, key=lambda value: (-len(value), value))))

    def text(self, text: str, depth: int) -> str:
        pieces: List[str] = []
        end = 0
        for match in PLACEHOLDER.finditer(text):
            pieces += (self._pattern.sub(self._shown, text[end : match.start()]), match.group())
            end = match.end()
        found = "".join((*pieces, self._pattern.sub(self._shown, text[end:])))
        return text if found == text else found

    def _shown(self, match: "re.Match[str]") -> str:
        shown = self._known[match.group()]
        kind = shown[1:].rpartition(" ")[0]
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return shown


def _spellings(value: str) -> Tuple[str, ...]:
    return value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]


def _is_secret_key(key: str) -> bool:
    return len(key) <= 200 and (is_secret_name(key.replace("-", "_")) or bool(_HEADER.fullmatch(key)))


def _is_secret_text(key: str, value: str) -> bool:
    """Return whether a text below a secret's name is one: no stand-in, and no token of a text."""
    if PLACEHOLDER.fullmatch(value) or not value.strip():
        return False
    if _ONLY_TOKEN.search(key) and (len(value) < 12 or not any(sign.isdigit() for sign in value)):
        return False
    return not _STAND_IN.search(re.sub(r"\s", "", value)) or bool(_HEADER.fullmatch(key))


def _each_text(document: Any, look: Callable[[str], None], depth: int = 0) -> None:
    if isinstance(document, str):
        look(document)
    elif isinstance(document, dict) and depth < _MAX_DEPTH:
        for key, item in document.items():
            _each_text(key, look, depth + 1)
            _each_text(item, look, depth + 1)
    elif isinstance(document, (list, tuple)) and depth < _MAX_DEPTH:
        for item in document:
            _each_text(item, look, depth + 1)
