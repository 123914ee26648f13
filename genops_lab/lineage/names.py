"""Read and write the names of nodes, such as ``model:digits@3``. A name is also the id of its node."""

from __future__ import annotations

from typing import NamedTuple

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.query.errors import did_you_mean

from .models import NodeKind

#: The first words of names, with the kind that each names.
WORDS: dict[str, NodeKind] = {
    "data": "data",
    "base": "base",
    "commit": "commit",
    "run": "run",
    "model": "version",
    "deployment": "deployment",
}
#: Further words that people write.
_ALSO: dict[str, NodeKind] = {"dataset": "data", "version": "version", "models": "version"}
HINT = "Name an object as data:NAME@DIGEST, commit:SHA, run:ID, model:NAME@VERSION, base:SOURCE or deployment:NAME."
REGISTRY = "models:/"


class Start(NamedTuple):
    """An object that a user named; ``part`` is the digest or the version, empty if it was left out."""

    kind: NodeKind
    name: str
    part: str = ""


def parse(text: str) -> Start:
    """Read the name of an object. Raises InvalidRequest.

    >>> parse("model:digits@champion")
    Start(kind='version', name='digits', part='champion')
    """
    if (version := version_of(text)) is not None:
        return Start("version", *version)
    word, colon, rest = text.partition(":")
    kind = WORDS.get(word) or _ALSO.get(word)
    if not colon or kind is None:
        meant = did_you_mean(word, WORDS)
        raise InvalidRequest(f"{text[:80]!r} does not say what it names.", hint=f"{meant} {HINT}".strip())
    if not rest.strip():
        raise InvalidRequest(f"{text!r} names nothing.", hint=HINT)
    if kind not in ("data", "version"):
        return Start(kind, rest)
    name, at, part = rest.rpartition("@")
    return Start(kind, name, part) if at and name else Start(kind, rest)


def version_of(uri: str) -> tuple[str, str] | None:
    """Return model and version of ``models:/NAME/VERSION`` or ``models:/NAME@ALIAS``; None for another text.

    >>> version_of("models:/digits/3")
    ('digits', '3')
    """
    if not uri.startswith(REGISTRY):
        return None
    rest = uri.removeprefix(REGISTRY)
    name, slash, version = rest.rpartition("/")
    if slash and name and version.isdecimal():
        return name, version
    name, at, alias = rest.rpartition("@")
    return (name, alias) if at and name and alias else None


def data_id(name: str, digest: str) -> str:
    """Return the id of a data set."""
    return f"data:{name}@{digest}"


def version_id(model: str, version: str) -> str:
    """Return the id of a version."""
    return f"model:{model}@{version}"
