"""All kinds of scorers, as an evaluation file names them by ``scorer: KIND``."""

from __future__ import annotations

from .programs import JsonSchema, Regex
from .rules import Contains, Exact, Numeric

Scorer = Exact | Contains | Regex | Numeric | JsonSchema
