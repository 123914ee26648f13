"""Define the parts of an evaluation file about conversations: earlier turns, the user's next turns, and tools."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

_FUNCTION = re.compile(r"\A[^:]+\.py:[A-Za-z_]\w*\Z")
ToolName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z")]
Most = Annotated[int, msgspec.Meta(ge=1, le=200)]


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model that plays the user.

    - model: its name below ``judges``.
    - prompt: who it is and what it wants; ``{{column}}`` stands for a row's value.
    - end: what it says when it is done. A turn with this text ends the conversation, and is not sent.
    - settings: those of its calls.
    """

    model: str
    prompt: str
    end: str = "[END]"
    settings: dict[str, Any] = {}


class Conversation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a row becomes a conversation.

    - history: the column with earlier turns, a list of ``{role, content}``, after those of ``prompt``.
    - turns: the column with what the user says next: a list of texts, or of turns, of which those of users count.
    - user: a model that plays the user, in place of ``turns``.
    - most_turns: answers to the user at most.
    - most_steps: calls of the model at most for one of them, where it uses tools.
    """

    history: str = ""
    turns: str = ""
    user: User | None = None
    most_turns: Most = 10
    most_steps: Most = 10

    def __post_init__(self) -> None:
        if self.turns and self.user:
            raise ValueError("a conversation has either turns or a user")


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tool that the model may call, and where its answers come from. It is never really used.

    - parameters: the JSON Schema of its arguments.
    - column: the row's column with the answer, or with a list of ``{arguments, answer}``.
    - table: rows beside the evaluation file. Columns with names of arguments choose rows; ``answer`` is the answer,
      or all other columns are.
    - function: ``FILE.py:NAME`` beside the evaluation file. It gets the arguments, the row and the earlier calls, runs
      in the sandbox, and returns what JSON can hold.
    """

    name: ToolName
    description: str = ""
    parameters: dict[str, Any] = {}
    column: str = ""
    table: str = ""
    function: str = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30.0

    def __post_init__(self) -> None:
        if sum(map(bool, (self.column, self.table, self.function))) != 1:
            raise ValueError("a tool has one of column, table and function")
        if self.function and not _FUNCTION.match(self.function):
            raise ValueError("function must be FILE.py:NAME")

    @property
    def file(self) -> str:
        """Return the file that the tool needs; empty: none."""
        return self.table or self.function.partition(":")[0]

    @property
    def declared(self) -> dict[str, Any]:
        """Return the tool as a call of the model declares it."""
        schema = self.parameters or {"type": "object", "properties": {}}
        inner = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": inner}
