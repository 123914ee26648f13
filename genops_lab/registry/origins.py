"""Say where a version comes from: wire types, the tags in MLflow that keep them, and the sentence for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

#: Tags of versions in MLflow.
SOURCE_TAG = "genops.source"
PARENT_TAG = "genops.parent"
BASE_TAG = "genops.base_model"
#: Where the sha256 of each file of an imported version is: ``runs:/RUN/PATH``.
MANIFEST_TAG = "genops.manifest"

Kind = Literal["run", "best", "path", "hf", "mlflow", "uri"]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was chosen: the best of ``runs`` runs by ``metric``.

    ``data`` is the data set (name@digest) that the metric judges, empty if the run logged none. ``left_out`` runs have
    no value, or NaN. ``unfinished`` runs were not compared.
    """

    metric: str
    largest: bool
    value: float
    runs: int
    experiment: str
    data: str = ""
    left_out: int = 0
    unfinished: int = 0


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from.

    ``revision`` is the commit of a hub's repository. ``mlflow`` is the address of the other MLflow that a version was
    copied from, and ``run`` then a run there.
    """

    kind: Kind
    uri: str = ""
    revision: str = ""
    run: str = ""
    mlflow: str = ""
    chosen_by: Chosen | None = None


def origin_of(tags: Mapping[str, str]) -> Origin | None:
    """Return the origin that a version's tags keep; None without one, or if it cannot be read."""
    kept = tags.get(SOURCE_TAG)
    if not kept:
        return None
    try:
        return msgspec.json.decode(kept, type=Origin)
    except (msgspec.DecodeError, UnicodeEncodeError):  # of a newer version, or edited by hand
        return None


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that people set, without those of MLflow and GenOps Lab."""
    return {key: value for key, value in sorted(tags.items()) if not key.startswith(("genops.", "mlflow."))}


def tag_of(origin: Origin) -> str:
    """Return the value of the tag ``genops.source``."""
    return msgspec.json.encode(origin).decode()


def words(origin: Origin) -> str:
    """Return where a version comes from, as a sentence.

    >>> words(Origin(kind="path", uri="models/digits"))
    'Files from models/digits.'
    """
    by = origin.chosen_by
    if by is not None:
        judged = f"{by.metric} on {by.data}" if by.data else by.metric
        return (
            f"Best of {by.runs} runs by {judged}: the best of many is partly luck."
            if by.runs > 1
            else f"The only run with {judged}."
        )
    if origin.kind == "run":
        return "Logged by its run."
    place = f"{origin.uri} at commit {origin.revision[:12]}" if origin.revision else origin.uri
    if origin.mlflow:
        place = f"{place} of {origin.mlflow}"
    return f"Files from {place}." if origin.kind == "path" else f"Copied from {place}."
