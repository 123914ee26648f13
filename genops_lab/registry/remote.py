"""Wire types of files that are fetched from a hub, another MLflow or a URI, for the worker processes."""

from __future__ import annotations

import msgspec


class RemoteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to fetch. ``sha256`` and ``blob`` (git's hash) are empty where the other side does not know them."""

    path: str
    size: int | None = None
    sha256: str = ""
    blob: str = ""


class RemoteHeader(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about a model from the header of its file.

    ``attention`` has layers, KV heads, and the sizes of a key and of a value.
    """

    architecture: str = ""
    context_length: int | None = None
    attention: tuple[int, int, int, int] | None = None


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """The record of the run of a copied version. ``metrics`` have key, value, time in ms and step; the last of each.

    ``datasets`` have the fields of MLflow's data sets, and ``context``.
    """

    run: str = ""
    params: dict[str, str] = {}
    metrics: list[tuple[str, float, int, int]] = []
    tags: dict[str, str] = {}
    datasets: list[dict[str, str]] = []


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a source. ``left_out`` may run code. ``revision`` is the commit of a hub's repository."""

    files: list[RemoteFile]
    left_out: list[str] = []
    revision: str = ""
    uri: str = ""
    description: str = ""
    lineage: Lineage | None = None
