"""Environments that are built on targets."""

from __future__ import annotations

from typing import Literal

import msgspec

SourceKind = Literal["uv", "pylock", "requirements", "conda"]
Addition = Literal["ipykernel", "mlflow"]


class SourcesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose sources: a folder or notebook, absolute or below the Lab's folder; empty for that folder."""

    path: str = ""


class EnvironmentSource(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a project that says what its environment holds. ``problem``: why it cannot be used."""

    path: str
    file: str
    kind: SourceKind
    problem: str = ""
    preferred: bool = False


class NewEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment to build on a target, with ipykernel and what else ``packages`` names.

    ``source`` is the path of an EnvironmentSource, empty for none. ``python`` is a version or a path there, ``folder``
    a name or a folder there; empty leaves both to the host.
    """

    source: str = ""
    packages: list[Addition] = []
    python: str = ""
    folder: str = ""


class Additions(msgspec.Struct, frozen=True, kw_only=True):
    """What to install into the environment that a target's kernels use now."""

    packages: list[Addition]
