"""What only a person can answer: a password, a passphrase, a host key; whether a folder's files shall travel."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Kind = Literal["password", "passphrase", "keyboard_interactive", "host_key", "folder_size", "folder_pull"]

ACCEPT = "yes"
"""The one answer to a question of :data:`YES_OR_NO` that accepts: the key, the files."""
YES_OR_NO = frozenset({"host_key", "folder_size", "folder_pull"})


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question. ``text`` is as the host or the program worded it; what is typed shows only with ``echo``.

    ``fingerprint`` (``SHA256:...``) and ``key_type`` (``ssh-ed25519``) go with ``host_key``.
    """

    id: str
    target: str
    kind: Kind
    text: str
    echo: bool = False
    fingerprint: str = ""
    key_type: str = ""


class Asker(Protocol):
    """Whoever carries questions to a person. Answers are secrets: neither logged nor kept by a carrier."""

    async def ask(self, question: Question) -> str | None:
        """The answer; None when it was refused or nobody is there."""
        ...


class Nobody:
    """There is no one to ask (a script, nbclient): every question stays unanswered."""

    async def ask(self, question: Question) -> str | None:
        """None."""
        return None
