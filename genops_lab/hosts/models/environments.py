"""Environments that are built on targets."""

from __future__ import annotations

from typing import Literal

import msgspec

SourceKind = Literal["uv", "pylock", "requirements", "conda"]
Addition = Literal["ipykernel", "mlflow"]


class SourcesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A folder or notebook whose sources are listed: absolute, or below the Lab's folder; empty for that
    folder."""

    path: str = ""


class EnvironmentSource(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a project that describes its environment. ``problem``: why it cannot be used."""

    path: str
    file: str
    kind: SourceKind
    problem: str = ""
    preferred: bool = False


class NewEnvironment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment to build on a target, with ipykernel and ``packages``.

    ``source`` is the path of an EnvironmentSource, empty for none. ``python`` is a version or a path on the
    host, ``folder`` a name or a folder on the host. The host chooses what is empty.
    """

    source: str = ""
    packages: list[Addition] = []
    python: str = ""
    folder: str = ""


class Additions(msgspec.Struct, frozen=True, kw_only=True):
    """Packages to install into the environment that a target's kernels use now."""

    packages: list[Addition]
