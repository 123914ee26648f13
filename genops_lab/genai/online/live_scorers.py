"""Say which scorers cannot look at live traces, and why: a trace has a question, an answer, and perhaps documents."""

from __future__ import annotations

import re

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.evaluations.evaluation_file import AddedScorers, read_scorers
from genops_lab.genai.scorers.base import BaseScorer, Judge
from genops_lab.genai.scorers.judges import OfDocuments, Pairwise
from genops_lab.genai.scorers.programs import Code, Mlflow
from genops_lab.genai.scorers.retrieval import Retrieval
from genops_lab.genai.scorers.rules import Given
from genops_lab.genai.scorers.rules_of_calls import Refusal

from .store import KnownScorer

#: The column of a live trace with the documents of its answer, its request or the application's trace.
DOCUMENTS = "documents"
#: The column with the ids or addresses of the documents that the application retrieved, in the same order.
RETRIEVED = "retrieved"
_FIELD = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")
_EXPECTING_OF_MLFLOW = frozenset({"Correctness", "Equivalence", "ExpectationsGuidelines"})
_WITHOUT = "format, length, refusal, latency, cost, regex, json_schema, function, relevance or rubric"


def read_live_scorers(text: str, name: str) -> AddedScorers:
    """Return the scorers of a file. Raises EvaluationFileError, and InvalidRequest for one that needs more than a trace
    has."""
    found = read_scorers(text, name)
    for scorer in found.scorers:
        if why := needs(scorer):
            raise InvalidRequest(
                f"{name}: the scorer {scorer.label!r} cannot look at live traces: {why}.",
                hint=f"Use a scorer that needs the answer alone: {_WITHOUT}.",
            )
    return found


def needs(scorer: BaseScorer) -> str:
    """Return what a scorer needs that live traces do not have; empty if it needs nothing more.

    >>> from genops_lab.genai.scorers.rules import Exact
    >>> needs(Exact()), needs(Refusal())
    ("it needs 'expected', and nobody said what is expected of a live request", '')
    """
    if isinstance(scorer, Pairwise):
        return "it compares the answers of two models, and a live request has one"
    if isinstance(scorer, Given):
        return "it has no rule of its own"
    if isinstance(scorer, Retrieval):
        return _missing(scorer.relevant)
    if isinstance(scorer, OfDocuments) and scorer.documents != DOCUMENTS:
        return f"it needs {scorer.documents!r}, and a live request has its documents as {DOCUMENTS!r}"
    if isinstance(scorer, Code):
        columns = [scorer.stdin, scorer.stdout, *_FIELD.findall(scorer.program)]
        return next((_missing(each) for each in columns if each not in ("", "answer")), "")
    if isinstance(scorer, Mlflow):
        return _missing(scorer.expected) if scorer.scorer_class in _EXPECTING_OF_MLFLOW else ""
    column = scorer.should if isinstance(scorer, Refusal) else getattr(scorer, "expected", "")
    return _missing(column) if column else ""


def known(scorer: BaseScorer) -> KnownScorer:
    """Return what is kept of a scorer."""
    if isinstance(scorer, Judge):
        return KnownScorer(
            label=scorer.label, judge=scorer.model, source=("LLM_JUDGE", scorer.model),
            documents=isinstance(scorer, OfDocuments),
        )  # fmt: skip
    return KnownScorer(label=scorer.label, source=("CODE", str(scorer.__struct_config__.tag)))


def _missing(column: str) -> str:
    return f"it needs {column!r}, and nobody said what is expected of a live request"
