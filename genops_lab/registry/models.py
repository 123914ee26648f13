"""Wire types of the model registry. Times in seconds since 1970."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from genops_lab.core.paging import PageQuery

from .origins import Origin
from .rollout_tag import VersionRollout


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a registered model."""

    name: str
    version: str
    run_id: str = ""
    source: str = ""
    status: str = "READY"
    created_at: float | None = None
    aliases: list[str] = []
    flavors: list[str] = []
    origin: Origin | None = None
    base_model: str = ""
    description: str = ""
    tags: dict[str, str] = {}
    rollout: VersionRollout | None = None


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its newest versions (at most 100), newest first.

    ``older`` is the cursor of the next page of versions, empty if there are no more.
    """

    name: str
    description: str = ""
    updated_at: float | None = None
    versions: list[ModelVersion] = []
    older: str = ""
    tags: dict[str, str] = {}


class DeleteQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``force``: delete aliases too, which refuse the deletion otherwise."""

    force: bool = False


class RegisterModel(msgspec.Struct, frozen=True, kw_only=True):
    """Register a model that a run logged. ``run`` is a run id, a unique prefix of one, or ``latest``.

    ``model`` selects the logged model if the run has several. Requests with the same ``idempotency_key`` register once.
    """

    name: str
    run: str
    model: str = ""
    alias: str = ""
    idempotency_key: str = ""


class RegisterBest(msgspec.Struct, frozen=True, kw_only=True):
    """Register the model of the best finished run of an experiment, by the last value of a metric.

    The largest value is the best, with ``smallest`` the smallest. Others as in :class:`RegisterModel`.
    """

    metric: str
    experiment: str
    smallest: bool = False
    model: str = ""
    alias: str = ""
    idempotency_key: str = ""


class ImportModel(msgspec.Struct, frozen=True, kw_only=True):
    """Register files as a new version.

    ``source``: a folder or file on the Lab's machine, ``hf:ORG/NAME@REVISION``, or ``models:/NAME/VERSION`` of the
    MLflow at ``mlflow``. ``base``: the base model of an adapter, ``hf:ORG/NAME`` or ``models:/NAME/VERSION``.
    ``allow_code`` accepts files that run code when they are loaded. ``secret``: the name of a variable of the Lab's
    environment that has the token for the hub or the other MLflow.
    """

    source: str
    base: str = ""
    alias: str = ""
    mlflow: str = ""
    secret: str = ""
    allow_code: bool = False


class PullModel(msgspec.Struct, frozen=True, kw_only=True):
    """Copy the files of a version (number or alias, empty for the newest) into the new folder ``folder``."""

    folder: str
    version: str = ""


class PushModel(msgspec.Struct, frozen=True, kw_only=True):
    """Upload the files of a version (number or alias, empty for the newest) to ``target``, ``hf:ORG/NAME``.

    ``private`` makes a new repository private. ``secret`` as in :class:`ImportModel`.
    """

    target: str
    version: str = ""
    private: bool = True
    secret: str = ""


class Leftover(msgspec.Struct, frozen=True, kw_only=True):
    """An unfinished copy of a version on the Lab's machine, at ``path``.

    ``folder`` is what a pull makes of it, empty for a copy that is pushed. ``in_use``: a task copies now.
    """

    path: str
    model: str
    version: str
    folder: str
    size_bytes: int
    changed_at: float
    in_use: bool


class DeleteLeftovers(msgspec.Struct, frozen=True, kw_only=True):
    """Delete the unfinished copies at these paths."""

    paths: list[str]


class LoadingCode(msgspec.Struct, frozen=True, kw_only=True):
    """Python code that loads a version."""

    code: str


class Describe(msgspec.Struct, frozen=True, kw_only=True):
    """Change a description, unless it is None, set ``tags``, and remove the tags ``untag``.

    ``expected`` is the description, and ``expected_tags`` the values of tags (None: no such tag), that the user saw
    before writing. If one of them is another now, nothing changes.
    """

    description: str | None = None
    tags: dict[str, str] = {}
    untag: list[str] = []
    expected: str | None = None
    expected_tags: dict[str, str | None] = {}


class OldVersions(msgspec.Struct, frozen=True, kw_only=True):
    """Choose old versions: not the newest ``keep``, and at least ``older_than_days`` days old."""

    keep: int = 5
    older_than_days: int = 0


class Prunable(msgspec.Struct, frozen=True, kw_only=True):
    """The versions that a clean-up would delete, and why other old versions stay, by version."""

    deletes: list[str]
    stays: dict[str, str] = {}


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    """Delete these versions, unless something needs them by now."""

    versions: list[str]


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """The deleted versions, and why others stay, by version."""

    deleted: list[str]
    stays: dict[str, str] = {}


class VersionStage(msgspec.Struct, frozen=True, kw_only=True):
    """A version with its stage of MLflow 2, and the alias that was made for it, empty without one."""

    version: str
    stage: str
    alias: str = ""


class SetAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Point an alias at a version.

    ``expected`` is the version that the alias named when the user decided, empty for none; if the alias names another
    version, nothing moves. ``reason``: at most 1,000 characters. ``evidence``: ids and references that the move rests
    on, at most 2,000 characters of JSON.
    """

    version: str
    reason: str = ""
    expected: str | None = None
    evidence: dict[str, Any] = {}


class RemoveAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Remove an alias. ``reason`` and ``expected`` as in :class:`SetAlias`."""

    reason: str = ""
    expected: str | None = None


class RevertAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Move an alias back to the version before its last move. ``reason`` and ``expected`` as in :class:`SetAlias`."""

    reason: str = ""
    expected: str | None = None


#: lab: by GenOps Lab; outside: by another program; found: the alias existed when GenOps Lab first looked.
MoveKind = Literal["lab", "outside", "found"]


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the history of an alias.

    An empty version means none. ``from_version`` is None if it is unknown. A move outside happened between ``since``
    and ``at``, and has neither ``who`` nor ``reason``.
    """

    id: str
    model: str
    alias: str
    from_version: str | None
    to_version: str
    kind: MoveKind
    at: float
    since: float | None = None
    who: str = ""
    reason: str = ""
    evidence: dict[str, Any] = {}


class MovesQuery(PageQuery, frozen=True, kw_only=True):
    """A page of the history of a model's aliases, or of one alias."""

    alias: str = ""
