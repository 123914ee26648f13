"""Why a link to a host could not be made.

    LinkError (503)
    |-- HostUnreachable       step reachable   no such name, refused, no route, no answer, not an SSH server
    |-- HostKeyUnknown        step host_key    nobody accepted the host's key
    |-- HostKeyChanged        step host_key    another key than the one that was accepted
    |-- AuthenticationFailed  step login       no key or password was taken
    |-- QuestionUnanswered    step login       an answer was needed and nobody gave one
    |-- ConfigurationUnusable step reachable   the ssh_config or a key file cannot be used
    |-- NoPython              step python      no such interpreter there
    |-- OldPython             step python      one older than 3.8
    |-- AgentRefused          step agent       the agent cannot be put or started there
    |-- CarrierEnded          step reachable   the carrier's process or the connection ended meanwhile
    |-- HostPending           step reachable   the host is asked for and not there yet
    `-- HostGone              step reachable   the host is not there any more

``step`` is the step of "test target" that failed: one of the target's kind, ``python`` or ``agent``. ``code`` is
stable; neither message nor hint holds a secret.
"""

from __future__ import annotations

from ...core.errors import Unavailable


class LinkError(Unavailable):
    """A link could not be made, or ended. A provider's own error is a subclass with a ``code`` of its own and, as
    ``step``, the name of one of its ``test_steps``."""

    code = "link"
    step: str = "reachable"

    @staticmethod
    def of(
        kind: str, message: str, hint: str = "", details: dict[str, str] | None = None, code: str = ""
    ) -> LinkError:
        """The error that another process (a carrier's child, the host) raised, raised here again.

        ``kind`` is its class's code, ``code`` its own where it has one.
        """
        found = _BY_CODE.get(kind, LinkError)
        return found(message, hint=hint, code=code or None, details=dict(details or {}))


class HostUnreachable(LinkError):
    """Nothing that speaks SSH answers there."""

    code = "host_unreachable"


class ConfigurationUnusable(LinkError):
    """The ssh_config, a key file or a program that it names cannot be used."""

    code = "ssh_configuration"


class HostKeyUnknown(LinkError):
    """The host's key is not known, and nobody accepted it. ``details``: fingerprint, key_type."""

    code = "host_key_unknown"
    step: str = "host_key"


class HostKeyChanged(LinkError):
    """The host shows another key than the one known. ``details``: fingerprint, key_type, file."""

    code = "host_key_changed"
    step: str = "host_key"


class AuthenticationFailed(LinkError):
    """The host took neither key nor password."""

    code = "authentication_failed"
    step: str = "login"


class QuestionUnanswered(LinkError):
    """Something had to be answered by a person, and nobody did."""

    code = "question_unanswered"
    step: str = "login"


class NoPython(LinkError):
    """The host has no such interpreter."""

    code = "no_python"
    step: str = "python"


class OldPython(LinkError):
    """The interpreter there is older than the agent needs."""

    code = "old_python"
    step: str = "python"


class AgentRefused(LinkError):
    """The agent could not be written or started on the host (read-only home, full disk, foreign owner, ...)."""

    code = "agent_refused"
    step: str = "agent"


class CarrierEnded(LinkError):
    """What carried the stream is gone."""

    code = "carrier_ended"


class HostPending(LinkError):
    """The host is asked for and not there yet; ``reason`` says what it waits for, in words from outside; ``position``
    is its place in the queue, from 1, where there is one. Asked again, it may be there."""

    code = "host_pending"

    def __init__(self, reason: str, position: int | None = None) -> None:
        said = outside_words(reason)
        if said and said[-1] not in ".!?…":
            said += "."
        place = "" if position is None else f"Place in the queue: {position}."
        super().__init__(f"{said} {place}".strip(), hint="What waits for it starts by itself.")
        self.position = position


class HostGone(LinkError):
    """The host ended, or was given back: another one has to be asked for."""

    code = "host_gone"

    @classmethod
    def because(cls, target: str, noun: str, why: str) -> HostGone:
        """Say that a target's host (pod, job) is gone."""
        return cls(f"The {noun} of {target} is gone: {outside_words(why)}", hint="Restart the kernel there.")


def outside_words(text: str, most: int = 300) -> str:
    """What somebody else's program says, as part of a sentence: one line without control characters, at most ``most``
    characters."""
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
