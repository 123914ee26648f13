"""Which names and aliases MLflow's registry takes, said before it is asked."""

from __future__ import annotations

import re

from genops_lab.core.errors import InvalidRequest

MAX_NAME = 256
MAX_ALIAS = 255
_ALIAS = re.compile(r"[\w-]+")
_RESERVED_ALIAS = re.compile(r"v\d+|latest", re.IGNORECASE)


def check_name(name: str) -> None:
    """Raise InvalidRequest unless ``name`` can name a registered model (unicode may)."""
    if not name.strip():
        raise InvalidRequest("A registered model needs a name.", hint="Give it one, such as 'digits'.")
    if len(name) > MAX_NAME:
        raise InvalidRequest(
            f"The model name {name[:40]!r}... has {len(name)} characters.",
            hint=f"Use at most {MAX_NAME} characters.",
        )
    if set(name) & set("/:"):
        raise InvalidRequest(
            f"The model name {name!r} holds '/' or ':'.",
            hint="MLflow refuses both in the names of registered models: use '-' or '_' instead.",
        )
    if name in (".", "..") or not name.isprintable():
        raise InvalidRequest(
            f"{name!r} cannot name a model.", hint="Use printable characters, and more than '.' or '..'."
        )


def check_alias(alias: str) -> None:
    """Raise InvalidRequest unless ``alias`` can point at a version."""
    if not _ALIAS.fullmatch(alias) or len(alias) > MAX_ALIAS:
        raise InvalidRequest(
            f"{alias[:60]!r} cannot be an alias.",
            hint=f"Use letters, digits, '_' and '-', at most {MAX_ALIAS} of them.",
        )
    if _RESERVED_ALIAS.fullmatch(alias):
        raise InvalidRequest(
            f"MLflow keeps the alias {alias!r} for itself.",
            hint="Use a word that says what the version is for, such as 'champion'.",
        )
