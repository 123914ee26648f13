"""Read a chat template of one's own. The record of the revision has its text, so that it travels with the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.registry.sources import path_below
from genops_lab.serving.engines.settings import CHAT_TEMPLATE

from .models import DeploymentChange
from .record import Record

#: Templates of known models have up to some 20 kB.
_MOST_BYTES = 256 * 1024


def with_template(settings: dict[str, Any], root: Path) -> dict[str, str]:
    """Return the text of the template, and name its file by content in the settings; empty without the setting.

    A relative path begins at ``root``. Raises InvalidRequest and NotFound. Blocks.
    """
    given = settings.get(CHAT_TEMPLATE)
    if given is None:
        return {}
    path = path_below(root, given)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"chat_template is {given[:200]!r}, and this file cannot be read: {error.strerror}.",
            hint="Give the path of a Jinja file on the machine of JupyterLab.",
        ) from error
    text = content.decode("utf-8", "replace")
    if len(content) > _MOST_BYTES or "{" not in text or "\0" in text:
        raise InvalidRequest(
            f"chat_template is {path.name!r}, and this file is no template.",
            hint="Give a Jinja file of at most 256 KiB, such as chat_template.jinja of another model.",
        )
    settings[CHAT_TEMPLATE] = f"{path.name}@{hashlib.sha256(content).hexdigest()[:8]}"
    return {CHAT_TEMPLATE: text}


def template_changes(record: Record | None, serving: Mapping[str, Any] | None) -> list[DeploymentChange]:
    """Return the change of a deployment whose template has other content under the same path now."""
    current = record.known(record.revision) if record is not None else None
    before = current.serving.get("settings", {}).get(CHAT_TEMPLATE) if current is not None else None
    after = (serving or {}).get("settings", {}).get(CHAT_TEMPLATE)
    if before is None or after is None or before == after or before.split("@")[0] != after.split("@")[0]:
        return []
    return [DeploymentChange(what="content of the chat template", now=before, file=after)]
