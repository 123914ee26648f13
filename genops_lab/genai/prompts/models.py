"""The wire types of prompts."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

#: MLflow's own pattern: the other braces of a text are left as they are.
VARIABLE = re.compile(r"\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)\s*\}\}")

Kind = Literal["text", "chat"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt. ``parts``: content that is no text, such as pictures, as OpenAI's API has it."""

    role: str
    content: str = ""
    parts: list[dict[str, Any]] = []


class PromptContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a prompt. A prompt of the kind "text" has one turn of the user.

    ``response_format``: the JSON Schema of an answer. ``tools``: functions as OpenAI's API takes them.
    ``settings``: of the call, such as temperature and max_tokens; MLflow calls them the model config.
    """

    turns: list[Turn]
    kind: Kind = "chat"
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] = []
    settings: dict[str, Any] = {}


class PromptVersion(PromptContent, frozen=True, kw_only=True):
    """A version of a prompt. ``problem`` says why its content cannot be read; it has no turns then.

    ``message`` says what changed. ``variables``: names in ``{{ }}``, in the order of the text. ``templates``: whether
    the text has Jinja2's statements. ``created_at``: seconds since 1970.
    """

    name: str
    version: str
    message: str = ""
    variables: list[str] = []
    templates: bool = False
    aliases: list[str] = []
    tags: dict[str, str] = {}
    created_at: float | None = None
    problem: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt. ``newest``: its newest version, empty if all were deleted. ``aliases``: versions by alias."""

    name: str
    newest: str = ""
    description: str = ""
    aliases: dict[str, str] = {}
    tags: dict[str, str] = {}
    updated_at: float | None = None


class NewPromptVersion(PromptContent, frozen=True, kw_only=True):
    """A version to be saved.

    ``expected``: the newest version that the person saw ("" for a new prompt); another one is a Conflict. None saves in
    any case. ``alias`` is pointed at the version.
    """

    message: str = ""
    tags: dict[str, str] = {}
    alias: str = ""
    expected: str | None = None


class SavedPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A saved version. ``made`` is false where the newest version has the same content: none is made then.

    ``between``: versions that others saved at the same moment.
    """

    version: PromptVersion
    made: bool = True
    between: list[str] = []


class MovePromptAlias(msgspec.Struct, frozen=True, kw_only=True):
    """The version, a number or an alias, that an alias shall name. ``expected``: the one that the person saw."""

    version: str
    expected: str | None = None


class RemovePromptAlias(msgspec.Struct, frozen=True, kw_only=True):
    """``expected``: the version that the person saw; another one is a Conflict."""

    expected: str | None = None


class ComparedVersions(msgspec.Struct, frozen=True, kw_only=True):
    """The two versions to compare, by number or alias."""

    before: str
    after: str = "latest"


class TextPiece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a text that both versions have, or one of them alone."""

    change: Literal["same", "added", "removed"]
    text: str


class PromptPart(msgspec.Struct, frozen=True, kw_only=True):
    """How one part of a prompt differs. ``part``: a turn such as ``1 system``, or settings, tools, response_format."""

    part: str
    pieces: list[TextPiece]


class PromptDifference(msgspec.Struct, frozen=True, kw_only=True):
    """How two versions differ; parts that are the same are included, so that a person reads the whole."""

    before: PromptVersion
    after: PromptVersion
    parts: list[PromptPart]
    same: bool
