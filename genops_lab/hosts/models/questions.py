"""Questions that only a person can answer."""

from __future__ import annotations

from typing import Literal

import msgspec


class OpenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question that only a person can answer: during a connection, before a folder's files are sent or pulled, or
    before a kernel on another host evaluates.

    For ``host_key``, ``folder_size``, ``folder_pull`` and ``evaluation`` the answer ``yes`` accepts. The answer may be
    visible while typed only with ``echo``.
    """

    id: str
    target: str
    kind: Literal[
        "password",
        "passphrase",
        "keyboard_interactive",
        "host_key",
        "folder_size",
        "folder_pull",
        "evaluation",
    ]
    text: str
    echo: bool = False
    fingerprint: str = ""
    key_type: str = ""
    asked_at: float
    expires_at: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question; null refuses it."""

    text: str | None = None

    def __repr__(self) -> str:
        """Leave out the text: it is a secret."""
        return f"Answer(text={'None' if self.text is None else '...'})"
