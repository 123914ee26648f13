"""Wire types of the model registry. Times in seconds since 1970."""

from __future__ import annotations

import msgspec


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


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model with its newest versions (at most 100), newest first.

    ``older`` is the cursor of the next page of versions, empty if there are no more.
    """

    name: str
    description: str = ""
    updated_at: float | None = None
    versions: list[ModelVersion] = []
    older: str = ""


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


class SetAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Point an alias at a version."""

    version: str
