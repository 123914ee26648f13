"""The errors of connections to hosts.

    LinkError (503)
    |-- HostUnreachable       step reachable   no such name, refused, no route, no answer, not an SSH server
    |-- HostKeyUnknown        step host_key    nobody accepted the host's key
    |-- HostKeyChanged        step host_key    another key than the one that was accepted
    |-- AuthenticationFailed  step login       no key or password was accepted
    |-- QuestionUnanswered    step login       an answer was needed and nobody gave one
    |-- ConfigurationUnusable step reachable   the ssh_config or a key file cannot be used
    |-- NoPython              step python      the host has no such interpreter
    |-- OldPython             step python      the interpreter is older than 3.8
    |-- AgentRefused          step agent       the agent cannot be written or started on the host
    |-- CarrierEnded          step reachable   the carrier's process or the connection ended
    |-- HostPending           step reachable   the host is requested and does not run yet
    `-- HostGone              step reachable   the host no longer exists

``step`` is the failed step of "test target": one of the target's kind, ``python`` or ``agent``. ``code`` is
stable. Neither message nor hint has a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ...core.errors import Unavailable


class LinkError(Unavailable):
    """A connection failed or ended.

    A provider's own error is a subclass with its own ``code`` and, as ``step``, the name of one of its
    ``test_steps``.
    """

    code = "link"
    step: str = "reachable"
    #: whether the way to the host broke, which another attempt may find whole; what was asked may have been done
    is_cut = False
    #: returns when another attempt is worth it, where the provider tells so
    changed: Callable[[], Coroutine[Any, Any, None]] | None = None

    @staticmethod
    def of(
        kind: str, message: str, hint: str = "", details: dict[str, str] | None = None, code: str = ""
    ) -> LinkError:
        """Return the error that another process (a carrier's child, the host) reported.

        ``kind`` is its class's code, ``code`` its own where it has one.
        """
        found = _BY_CODE.get(kind, LinkError)
        return found(message, hint=hint, code=code or None, details=dict(details or {}))


class HostUnreachable(LinkError):
    """No SSH server answers at the address."""

    code = "host_unreachable"
    is_cut = True


class ConfigurationUnusable(LinkError):
    """The ssh_config, a key file or a program that it names cannot be used."""

    code = "ssh_configuration"


class HostKeyUnknown(LinkError):
    """The host's key is unknown, and nobody accepted it. ``details``: fingerprint, key_type."""

    code = "host_key_unknown"
    step: str = "host_key"


class HostKeyChanged(LinkError):
    """The host's key is not the known one. ``details``: fingerprint, key_type, file."""

    code = "host_key_changed"
    step: str = "host_key"


class AuthenticationFailed(LinkError):
    """The host accepted neither key nor password."""

    code = "authentication_failed"
    step: str = "login"


class QuestionUnanswered(LinkError):
    """A question needed a person's answer, and nobody answered."""

    code = "question_unanswered"
    step: str = "login"


class NoPython(LinkError):
    """The host does not have the interpreter."""

    code = "no_python"
    step: str = "python"


class OldPython(LinkError):
    """The interpreter is older than the agent needs."""

    code = "old_python"
    step: str = "python"


class AgentRefused(LinkError):
    """The agent could not be written or started on the host (read-only home, full disk, foreign owner, ...)."""

    code = "agent_refused"
    step: str = "agent"


class CarrierEnded(LinkError):
    """The carrier of the stream has ended."""

    code = "carrier_ended"
    is_cut = True


class HostPending(LinkError):
    """The host is requested and does not run yet. A later attempt may succeed.

    ``reason`` is the scheduler's own text. ``position`` is the place in the queue, from 1, or None.
    """

    code = "host_pending"

    def __init__(self, reason: str, position: int | None = None) -> None:
        said = outside_words(reason)
        if said and said[-1] not in ".!?…":
            said += "."
        place = "" if position is None else f"Place in the queue: {position}."
        super().__init__(f"{said} {place}".strip(), hint="Waiting kernels start by themselves.")
        self.position = position


class HostGone(LinkError):
    """The host ended or was released: a new one has to be requested."""

    code = "host_gone"

    @classmethod
    def because(cls, target: str, noun: str, why: str) -> HostGone:
        """Return the error for a target's host (pod, job) that no longer exists."""
        return cls(
            f"The {noun} of {target} no longer exists: {outside_words(why)}",
            hint="Restart the kernel to get a new one.",
        )


def outside_words(text: str, most: int = 300) -> str:
    """Return another program's text as part of a sentence: one line without control characters, at most
    ``most`` characters."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


_BY_CODE: dict[str, type[LinkError]] = {
    kind.code: kind
    for kind in (
        HostUnreachable,
        ConfigurationUnusable,
        HostKeyUnknown,
        HostKeyChanged,
        AuthenticationFailed,
        QuestionUnanswered,
        NoPython,
        OldPython,
        AgentRefused,
        CarrierEnded,
    )
}
