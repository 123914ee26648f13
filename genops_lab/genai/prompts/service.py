"""Keep prompts in MLflow, and compare their versions."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.paging import FIRST, Page, PageQuery
from genops_lab.registry.service import check_alias

from .backend import MlflowPrompts
from .differences import difference_of
from .models import (
    ComparedVersions,
    MovePromptAlias,
    NewPromptVersion,
    Prompt,
    PromptDifference,
    PromptVersion,
    RemovePromptAlias,
    SavedPrompt,
)

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

#: MLflow's own rule.
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,250}")
#: MLflow keeps the text, the schema and the settings each as a tag of at most so many characters.
MOST_CHARACTERS = 100_000
_ROLE = re.compile(r"[a-z_]{1,30}")
_UNASKED = RemovePromptAlias()


class PromptsService:
    """The operations of MLflow's prompts."""

    def __init__(self, mlflow: MlflowConnection, events: EventBus) -> None:
        self._mlflow, self._events = mlflow, events

    async def list_prompts(self, query: PageQuery = FIRST) -> Page[Prompt]:
        """List prompts, last changed first."""
        return await self._mlflow.call(MlflowPrompts.list_prompts, query)

    async def list_prompt_versions(self, name: str, query: PageQuery = FIRST) -> Page[PromptVersion]:
        """List the versions of a prompt, newest first."""
        check_prompt_name(name)
        return await self._mlflow.call(MlflowPrompts.list_versions, name, query)

    async def get_prompt_version(self, name: str, version: str) -> PromptVersion:
        """Return a version of a prompt, by number or alias; "latest" is the newest."""
        check_prompt_name(name)
        return await self._mlflow.call(MlflowPrompts.get_version, name, version)

    async def compare_prompts(self, name: str, query: ComparedVersions) -> PromptDifference:
        """Compare two versions of a prompt word by word."""
        before = await self.get_prompt_version(name, query.before)
        after = await self.get_prompt_version(name, query.after)
        return await asyncio.to_thread(difference_of, before, after)

    async def save_prompt(self, name: str, body: NewPromptVersion) -> SavedPrompt:
        """Save a version of a prompt, unless the newest one has the same content."""
        check_prompt_name(name)
        check_content(body)
        if body.alias:
            check_alias(body.alias)
        saved = await self._mlflow.call(MlflowPrompts.add, name, body)
        if body.alias and body.alias not in saved.version.aliases:
            await self._mlflow.call(MlflowPrompts.point, name, body.alias, saved.version.version, None)
            aliases = sorted([*saved.version.aliases, body.alias])
            named = msgspec.structs.replace(saved.version, aliases=aliases)
            saved = msgspec.structs.replace(saved, version=named)
        self._events.emit("prompt", name)
        return saved

    async def set_prompt_alias(self, name: str, alias: str, body: MovePromptAlias) -> Prompt:
        """Point an alias of a prompt at a version."""
        check_prompt_name(name)
        check_alias(alias)
        return self._changed(
            await self._mlflow.call(MlflowPrompts.point, name, alias, body.version, body.expected)
        )

    async def delete_prompt_alias(self, name: str, alias: str, query: RemovePromptAlias = _UNASKED) -> Prompt:
        """Delete an alias of a prompt; do nothing if the prompt does not have it."""
        check_prompt_name(name)
        check_alias(alias)
        return self._changed(await self._mlflow.call(MlflowPrompts.remove_alias, name, alias, query.expected))

    async def delete_prompt_version(self, name: str, version: str) -> Prompt:
        """Delete a version of a prompt, and the aliases that name it."""
        check_prompt_name(name)
        return self._changed(await self._mlflow.call(MlflowPrompts.delete_version, name, version))

    async def delete_prompt(self, name: str) -> None:
        """Delete a prompt with all its versions."""
        check_prompt_name(name)
        await self._mlflow.call(MlflowPrompts.delete_prompt, name)
        self._events.emit("prompt", name)

    def _changed(self, prompt: Prompt) -> Prompt:
        self._events.emit("prompt", prompt.name)
        return prompt


def check_prompt_name(name: str) -> None:
    """Raise InvalidRequest for a name that MLflow refuses."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name[:80]!r} cannot be the name of a prompt.",
            hint="Use 1 to 250 letters, digits, dots, hyphens and underscores.",
        )


def check_content(new: NewPromptVersion) -> None:
    """Raise InvalidRequest for content that MLflow cannot keep, or that no model could answer."""
    if not new.turns or not any(each.content.strip() or each.parts for each in new.turns):
        raise InvalidRequest("The prompt is empty.", hint="Write a text, or turns such as system: and user:.")
    if new.kind == "text" and (len(new.turns) > 1 or new.turns[0].parts):
        raise InvalidRequest("A text prompt has one turn.", hint='Save it with the kind "chat".')
    for turn in new.turns:
        if not _ROLE.fullmatch(turn.role):
            raise InvalidRequest(
                f"{turn.role[:40]!r} is no role of a turn.", hint="Use system, user or assistant."
            )
    for each in new.tools:
        if each.get("type") == "function" and not (each.get("function") or {}).get("name"):
            raise InvalidRequest("A tool has no name.", hint='Give {"function": {"name": ...}}.')
    for what, part in (
        ("text", new.turns[0].content if new.kind == "text" else new.turns),
        ("response format", new.response_format),
        ("settings and tools", [new.settings, new.tools]),
    ):
        size = len(part) if isinstance(part, str) else len(msgspec.json.encode(part).decode())
        if size > MOST_CHARACTERS:
            raise InvalidRequest(
                f"The {what} of the prompt has {size:,} characters; MLflow keeps at most {MOST_CHARACTERS:,}.",
                hint="Put long material into a column of the rows, and a {{variable}} into the prompt.",
            )
