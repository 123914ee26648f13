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
    """A registered model with its newest versions (at most 100), newest first. ``older``: where the page of versions
    behind these begins; empty where there are no more."""

    name: str
    description: str = ""
    updated_at: float | None = None
    versions: list[ModelVersion] = []
    older: str = ""


class RegisterModel(msgspec.Struct, frozen=True, kw_only=True):
    """Register what a run logged: ``run`` is an id, a unique prefix of it, or ``latest``.

    ``model`` names the logged model where the run has several. The same ``idempotency_key`` registers once.
    """

    name: str
    run: str
    model: str = ""
    alias: str = ""
    idempotency_key: str = ""


class SetAlias(msgspec.Struct, frozen=True, kw_only=True):
    """Point an alias at a version."""

    version: str
