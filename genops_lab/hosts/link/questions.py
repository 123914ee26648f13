"""Questions that only a person can answer: a password, a passphrase, a host key, the upload of a folder."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec

Kind = Literal[
    "password", "passphrase", "keyboard_interactive", "host_key", "folder_size", "folder_pull", "evaluation"
]

ACCEPT = "yes"
"""The only answer that accepts a question of :data:`YES_OR_NO`, such as a host key or an upload."""
YES_OR_NO = frozenset({"host_key", "folder_size", "folder_pull", "evaluation"})


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question. ``text`` is the host's or program's own wording. The answer is visible while typed only
    with ``echo``.

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
    """Passes questions to a person. Answers are secrets: a carrier neither logs nor keeps them."""

    async def ask(self, question: Question) -> str | None:
        """Return the answer; None when it was refused or nobody is present."""
        ...


class Nobody:
    """Leaves every question unanswered (a script, nbclient)."""

    async def ask(self, question: Question) -> str | None:
        return None


class Present(NamedTuple):
    """The person who answers questions of the present work, and GenOps' data directory."""

    asker: Asker
    folder: Path


_present: ContextVar[Present] = ContextVar("present")


def present() -> Present:
    """Return who is present for the work of this task; nobody outside of connections."""
    found = _present.get(None)
    if found is None:
        from genops_lab.core.paths import data_dir

        return Present(Nobody(), data_dir())
    return found


def is_present(asker: Asker, folder: Path) -> None:
    """Set who is present for the rest of this task, and for tasks that it starts."""
    _present.set(Present(asker, folder))
