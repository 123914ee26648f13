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
    for each in content["revisions"]:
        del each["source"], each["traffic"]
    if "lifetime" in content:
        hours = {key: value for key, value in content["lifetime"].items() if value}
        content["lifetime"] = {key: int(each) if each == int(each) else each for key, each in hours.items()}
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
    return _HEAD + "".join(f"# {each}\n" for each in remarks) + body
