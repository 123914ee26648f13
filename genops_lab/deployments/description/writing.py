"""Write a description as the text of a file."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml

from .document import Description

_HEAD = "# A deployment. Show what it would change: genops diff FILE. Change it: genops apply FILE\n"


def text_of(description: Description, remarks: tuple[str, ...] = ()) -> str:
    """Return the text of a file without the parts that have their default values; ``remarks`` are comments."""
    found: dict[str, Any] = msgspec.to_builtins(description)
    plain: dict[str, Any] = msgspec.to_builtins(
        Description(
            apiVersion=description.apiVersion,
            kind=description.kind,
            name=description.name,
            revisions=description.revisions,
        )
    )
    kept = ("apiVersion", "kind", "name", "revisions")
    content = {key: value for key, value in found.items() if key in kept or value != plain[key]}
    content["revisions"] = [_without_defaults(each) for each in content["revisions"]]
    if "resources" in content:
        content["resources"] = {key: value for key, value in content["resources"].items() if value}
    if "callers" in content:
        content["callers"] = [
            {key: value for key, value in each.items() if value} for each in content["callers"]
        ]
    if "lifetime" in content:
        hours = {key: value for key, value in content["lifetime"].items() if value}
        content["lifetime"] = {key: int(each) if each == int(each) else each for key, each in hours.items()}
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return _HEAD + "".join(f"# {each}\n" for each in remarks) + body


def _without_defaults(revision: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in revision.items() if value and key != "traffic"}
