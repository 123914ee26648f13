"""Wire types of model cards and bills of materials. Times in seconds since 1970."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.registry.files.models import ModelFacts


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A measured value, with the ends of its 95 % interval (None: not known).

    ``rows`` counts the examples. ``data`` and ``digest`` name the data set, ``group`` a part of it (``age=60+``).
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    data: str = ""
    digest: str = ""
    group: str = ""


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of a run. ``context``: training, evaluation, or what the run said."""

    name: str
    digest: str = ""
    source: str = ""
    context: str = ""


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """Measured energy in kWh and emissions in kg of CO2 equivalent (None: not measured)."""

    kwh: float | None = None
    co2_kg: float | None = None
    source: str = ""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """The run that made a version."""

    run_id: str
    run_name: str = ""
    experiment: str = ""
    user: str = ""
    source: str = ""
    commit: str = ""
    dirty: bool = False
    started_at: float | None = None
    duration_s: float | None = None
    target: str = ""
    gpus: int = 0
    params: dict[str, str] = {}
    metrics: list[Metric] = []
    data: list[DataSet] = []
    energy: Energy = Energy()


class HashedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a version by its path, with its size in bytes and its SHA-256."""

    path: str
    size_bytes: int
    sha256: str


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """All that MLflow and the files say about a version. ``training`` is None without a run.

    ``unread`` are sentences about parts that could not be read.
    """

    name: str
    version: str
    description: str = ""
    created_at: float | None = None
    facts: ModelFacts
    training: Training | None = None
    evaluations: list[Metric] = []
    base_model: str = ""
    source: dict[str, Any] = {}
    gates: dict[str, Any] = {}
    unread: list[str] = []


class CardGap(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that nobody has written: ``what`` is missing in the section ``section``."""

    section: str
    what: str


class CardSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a card in Markdown, with its heading. ``written``: a person wrote or changed it."""

    id: str
    title: str
    text: str
    written: bool = False


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a version: what is known now, with what people wrote.

    ``text`` is the whole README.md. ``metadata`` is its YAML block. ``kept``: a card is kept beside the version's
    files; ``digest`` names its content, empty without one.
    """

    name: str
    version: str
    text: str
    metadata: str
    sections: list[CardSection]
    missing: list[CardGap] = []
    kept: bool = False
    digest: str = ""


class KeepCard(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a card. ``text`` empty: as it is made now. ``expected``: the digest of the kept card that was edited.

    None for ``expected`` replaces any.
    """

    text: str = ""
    expected: str | None = None


class WriteSection(msgspec.Struct, frozen=True, kw_only=True):
    """Write one section of a card in Markdown; the section ``metadata`` in YAML. An empty text is made anew."""

    text: str
    expected: str | None = None


class BillOfMaterials(msgspec.Struct, frozen=True, kw_only=True):
    """A bill of materials: the JSON document of CycloneDX 1.6."""

    document: dict[str, Any]
