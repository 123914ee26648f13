"""Names of deployments: a folder, a path of a URL, and (later) a Kubernetes object carry them."""

from __future__ import annotations

import re
import unicodedata

from genops_lab.core.errors import InvalidRequest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_name(name: str) -> bool:
    """Whether a deployment can have this name."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name itself. Raises InvalidRequest, with a name that would do."""
    if is_name(name):
        return name
    raise InvalidRequest(
        f"{name[:80]!r} cannot name a deployment.",
        hint="Use 1 to 63 of the letters a-z and A-Z, digits, '.', '_' and '-', beginning with a letter or a "
        f"digit, such as {default_name(name)!r}.",
    )


def default_name(model: str) -> str:
    """A valid name made from the model's."""
    ascii_only = unicodedata.normalize("NFKD", model).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_only).strip("-._")[:63].rstrip("-._")
    return slug or "model"
