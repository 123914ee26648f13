"""Read a deployment file; an error names the line, the column and what was probably meant."""

from __future__ import annotations

from typing import get_args

from genops_lab.core.yaml_files import YamlFileError, YamlKind
from genops_lab.deployments.policy import RolloutKind

from .document import API_VERSION, Description


class DeploymentFileError(YamlFileError):
    """A deployment file cannot be used. ``details`` has the line and the column, from 1."""

    code = "deployment_file"


#: The record of a deployment has the text of its file.
MAX_CHARACTERS = 50_000
_NAME = "must have up to 63 letters (a-z, A-Z), digits, '.', '_' and '-', and begin with a letter or a digit"
_VARIABLES = "must have names of variables: letters (a-z, A-Z), digits and '_'"

_FILE = YamlKind(
    content=Description,
    error=DeploymentFileError,
    example="An example: genops deployments init MODEL",
    fewer="Describe one deployment in a file.",
    most=MAX_CHARACTERS,
    words={
        "apiVersion": (API_VERSION,),
        "kind": ("Deployment", *get_args(RolloutKind)),
        "unit": ("request", "key", "header"),
        "used_up": ("hold", "rollback"),
    },
    shapes={
        "name": _NAME,
        "environment": f"{_VARIABLES}, and texts of up to 10,000 characters without a zero byte",
        "secrets": _VARIABLES,
        "settings": "must have names of settings, such as context, with their values",
        "secret": "must be the name of a variable: letters (a-z, A-Z), digits and '_'",
        "memory": "must be a size with its unit, such as 500 MiB or 2 GiB",
        "address": "must be a name and a port, such as gpu.example.org:8443",
        "trust": "must be sha256: and 64 digits (0-9, a-f), or have the key 'signer'",
        "revisions": "must have one revision: shares between several do not exist yet",
    },
)


def read_description(text: str, name: str = "deployment.yaml") -> Description:
    """Return the description in a file's text. ``name`` stands in errors. Raises DeploymentFileError."""
    return _FILE.read(text, name)
