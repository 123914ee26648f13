"""Score an answer by a rule: each gives 1 for right, 0 for wrong, or a part between."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)


class NotScored(Exception):
    """An answer that a scorer cannot judge. It counts as neither right nor wrong."""


class _Scorer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scorer"):
    """``name``: what the results call the scorer; empty: its kind."""

    name: str = ""

    @property
    def label(self) -> str:
        """Return the name in the results."""
        return self.name or str(self.__struct_config__.tag)


class _Expecting(_Scorer, frozen=True, kw_only=True, tag_field="scorer"):
    """``expected``: the column with what is expected."""

    expected: str = "expected"

    def wanted(self, row: Mapping[str, Any]) -> Any:
        """Return what the row expects. Raises NotScored."""
        found = row.get(self.expected)
        if found is None or (isinstance(found, float) and math.isnan(found)):
            raise NotScored(f"the row has no {self.expected!r}")
        return found


class Exact(_Expecting, frozen=True, kw_only=True, tag="exact"):
    """The answer is the expected text, without spaces around it; ``ignore_case`` takes capitals as small letters."""

    ignore_case: bool = False

    def score(self, text: str, row: Mapping[str, Any]) -> float:
        """Return 1 or 0."""
        wanted, given = str(self.wanted(row)).strip(), text.strip()
        return float(wanted.casefold() == given.casefold() if self.ignore_case else wanted == given)


class Contains(_Expecting, frozen=True, kw_only=True, tag="contains"):
    """The answer contains the expected text, whatever the capitals unless ``ignore_case`` is false."""

    ignore_case: bool = True

    def score(self, text: str, row: Mapping[str, Any]) -> float:
        """Return 1 or 0."""
        wanted = str(self.wanted(row)).strip()
        return float(wanted.casefold() in text.casefold() if self.ignore_case else wanted in text)


class Regex(_Scorer, frozen=True, kw_only=True, tag="regex"):
    """The answer matches a pattern of Python somewhere; ``whole`` wants a match of the whole answer."""

    pattern: str
    whole: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"the pattern is no regular expression: {error}") from error

    def score(self, text: str, row: Mapping[str, Any]) -> float:
        """Return 1 or 0."""
        found = re.fullmatch(self.pattern, text.strip()) if self.whole else re.search(self.pattern, text)
        return float(found is not None)


class Numeric(_Expecting, frozen=True, kw_only=True, tag="numeric"):
    """The last number in the answer is the expected one, within a relative and an absolute tolerance."""

    relative: float = 1e-6
    absolute: float = 0.0

    def score(self, text: str, row: Mapping[str, Any]) -> float:
        """Return 1 or 0."""
        try:
            wanted = float(str(self.wanted(row)).replace(",", ""))
        except ValueError as error:
            raise NotScored(f"{self.expected!r} is no number") from error
        numbers = _NUMBER.findall(text)
        if not numbers:
            return 0.0
        given = float(numbers[-1].replace(",", "").rstrip("."))
        return float(math.isclose(given, wanted, rel_tol=self.relative, abs_tol=self.absolute))


class JsonSchema(_Scorer, frozen=True, kw_only=True, tag="json_schema"):
    """The answer is JSON, in a code fence or not, that keeps to a JSON Schema."""

    schema: dict[str, Any]

    def __post_init__(self) -> None:
        import jsonschema

        try:
            jsonschema.validators.validator_for(self.schema).check_schema(self.schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"the schema is no JSON Schema: {error.message}") from error

    def score(self, text: str, row: Mapping[str, Any]) -> float:
        """Return 1 or 0."""
        import jsonschema

        fenced = _FENCE.match(text)
        try:
            found = json.loads(fenced[1] if fenced else text)
        except ValueError:
            return 0.0
        validator = jsonschema.validators.validator_for(self.schema)(self.schema)
        return float(validator.is_valid(found))


Scorer = Exact | Contains | Regex | Numeric | JsonSchema
