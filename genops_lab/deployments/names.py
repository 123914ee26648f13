"""Check names of deployments: each is also a folder, a URL path and (later) a Kubernetes object."""

from __future__ import annotations

import re
import unicodedata

from genops_lab.core.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_name(name: str) -> bool:
    """Return whether a deployment can have this name."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return ``name``. Raises InvalidRequest with a valid name in its hint."""
    if is_name(name):
        return name
    raise InvalidRequest(
        f"{name[:80]!r} is not a valid name of a deployment.",
        hint="Use up to 63 letters (a-z, A-Z), digits, '.', '_' and '-', beginning with a letter or a digit, "
        f"such as {default_name(name)!r}.",
    )


def default_name(model: str) -> str:
    """Return a valid name made from the model's name."""
    ascii_only = unicodedata.normalize("NFKD", model).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_only).strip("-._")[:63].rstrip("-._")
    return slug or "model"
