"""Scorers that run in a process of their own."""

from __future__ import annotations

import json
import re
from typing import Any

from .base import Answered, Program, Score, yes
from .rules import fenced


class Regex(Program, frozen=True, kw_only=True, tag="regex", tag_field="scorer"):
    """The answer matches a pattern of Python somewhere; ``whole`` wants a match of the whole answer.

    A pattern may need longer than the age of the world. So it has ``timeout_s`` for an answer.
    """

    pattern: str
    whole: bool = False
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        Program.__post_init__(self)
        try:
            re.compile(self.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"the pattern is no regular expression: {error}") from error

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        text = answered.text
        found = re.fullmatch(self.pattern, text.strip()) if self.whole else re.search(self.pattern, text)
        return yes(found is not None)


class JsonSchema(Program, frozen=True, kw_only=True, tag="json_schema", tag_field="scorer"):
    """The answer is JSON, in a code fence or not, that keeps to a JSON Schema. Nothing is fetched for ``$ref``."""

    schema: dict[str, Any]
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        import jsonschema

        Program.__post_init__(self)
        try:
            jsonschema.validators.validator_for(self.schema).check_schema(self.schema)
        except jsonschema.SchemaError as error:
            raise ValueError(f"the schema is no JSON Schema: {error.message}") from error

    def score(self, answered: Answered) -> Score:
        """Return 1 or 0."""
        import jsonschema
        import referencing

        try:
            found = json.loads(fenced(answered.text, "json"))
        except (ValueError, RecursionError):
            return yes(False, "the answer is no JSON")
        kind = jsonschema.validators.validator_for(self.schema)
        error = next(kind(self.schema, registry=referencing.Registry()).iter_errors(found), None)
        return yes(error is None, f"{error.json_path}: {error.message}" if error else "")
