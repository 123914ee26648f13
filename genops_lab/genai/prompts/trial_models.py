"""The wire types of trials: versions of a prompt run on rows with several models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from genops_lab.core.paging import PageQuery
from genops_lab.genai.endpoints.limits import Price


class TrialModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers: an ``endpoint`` of the list, a ``deployment``, or a ``url`` with its ``model``.

    ``key``: a secret's name. An endpoint has its own limits and, unless ``price`` is given, its price.
    """

    name: str
    endpoint: str = ""
    deployment: str = ""
    url: str = ""
    model: str = ""
    key: str = ""
    price: Price | None = None
    at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8


class PromptTrial(msgspec.Struct, frozen=True, kw_only=True):
    """Versions (numbers or aliases) and models to run on the first ``rows`` of ``data``.

    - data: the path of a file, below the folder of JupyterLab if it is relative; ``dataset:NAME`` or ``traces:QUERY``
      of MLflow.
    - settings: of each call; they win over those of the version.
    """

    versions: list[str]
    models: list[TrialModel]
    data: str
    rows: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 20
    settings: dict[str, Any] = {}


class CallCost(msgspec.Struct, frozen=True, kw_only=True):
    """The most that the calls of one version to one model use, in tokens.

    ``money`` is in ``currency``, and None without a price.
    """

    version: str
    model: str
    calls: int
    input: int
    output: int
    money: float | None
    currency: str = "USD"


class TrialCost(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a trial costs. ``rows``: how many are asked about. ``digest``: that of all rows of the data.

    ``money`` is in ``currency``. It is None if a model (``without_price``) has no price, or prices have several
    currencies.
    """

    rows: int
    digest: str
    calls: int
    tokens: int
    money: float | None
    currency: str = "USD"
    without_price: list[str]
    parts: list[CallCost]


class TrialAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. ``cut``: it reached max_tokens. The ``text`` of a failed call says why."""

    state: Literal["answered", "failed", "missing"]
    text: str = ""
    tool_calls: list[dict[str, Any]] = []
    cut: bool = False
    tokens: int = 0
    latency_s: float = 0.0


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row, and its answers in the order of the columns."""

    id: str
    row: dict[str, Any]
    answers: list[TrialAnswer]


class TrialSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A trial in a list. ``digest`` is that of all rows of ``data``, of which ``row_count`` are asked about.

    ``columns`` name version and model.
    ``answered`` of the ``wanted`` answers are there; ``failed`` calls gave none.
    """

    id: str
    name: str
    data: str
    digest: str
    row_count: int
    created_at: float
    columns: list[str]
    wanted: int
    answered: int
    failed: int


class TrialTable(TrialSummary, frozen=True, kw_only=True):
    """The answers of a trial."""

    rows: list[TrialRow]


class OfPromptQuery(PageQuery, frozen=True, kw_only=True):
    """A page of the trials or the optimizations of a prompt. ``name`` empty: those of all prompts."""

    name: str = ""
