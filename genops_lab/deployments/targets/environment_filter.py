"""Filter the environment variables for pip and uv, which build the environment of a model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from genops_lab.agent.model_variables import scoring_environment

# Building an environment also needs access to the package index.
_BUILDING = re.compile(r"(PIP|UV)_\w+|\w+_PROXY|REQUESTS_CA_BUNDLE|CC|CXX|CFLAGS|LDFLAGS", re.IGNORECASE)


def building_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for pip and uv, with their settings, proxies and certificates."""
    own = {name: value for name, value in environ.items() if _BUILDING.fullmatch(name)}
    return {**scoring_environment(environ), **own}
