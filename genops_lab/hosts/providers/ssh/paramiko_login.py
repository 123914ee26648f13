"""Log in over a paramiko transport, in as few round trips as the protocol allows.

Replaces paramiko's own AuthHandler. It asks for the service and offers the first key at once. It asks for a
passphrase only when the server wants that key. The caller may send what follows a success along with the
first offer. Runs in the carrier's child only.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, NamedTuple

import paramiko
from paramiko import common
from paramiko.message import Message

from ...link.errors import AuthenticationFailed, CarrierEnded, HostUnreachable, QuestionUnanswered
from .paramiko_keys import Identity, WrongPassphrase
from .ssh_config import Hop

_SERVICE = "ssh-connection"
_MAX_PASSPHRASES = 3
_MAX_ROUNDS = 50
#: Seconds for the server to answer: some wait for a confirmation on a telephone.
_PATIENCE_S = 120.0

Ask = Callable[..., "str | None"]


class _Failure(NamedTuple):
    methods: list[str]
    partial: bool


class Login:
    """One login. ``then`` is called once, right after a first offer that needs no answer from a person.

    After :meth:`run`, ``taken`` is the public blob of the accepted key. ``eager_worked`` says whether what
    ``then`` sent arrived after the success.
    """

    def __init__(self, transport: Any, hop: Hop, ask: Ask, then: Callable[[], None] | None = None) -> None:
        self.transport = transport
        self.hop = hop
        self.banner = ""
        self.taken = b""
        self.eager_worked = False
        self.authenticated = False
        self._ask_person = ask
        self._then = then
        self._method = ""
        self._requests = 0
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._handler_table: dict[int, Callable[[Message], None]] = {
            common.MSG_SERVICE_ACCEPT: lambda message: None,
            common.MSG_USERAUTH_SUCCESS: self._succeeded,
            common.MSG_USERAUTH_FAILURE: self._failed,
            common.MSG_USERAUTH_BANNER: self._bannered,
            common.MSG_USERAUTH_INFO_REQUEST: lambda message: self._answers.put(message),
        }
        transport.auth_handler = self

    # Called by paramiko's transport, in its thread

    def is_authenticated(self) -> bool:
        """Return whether the server accepted the login."""
        return self.authenticated

    def get_username(self) -> str:
        """Return the user's name on the host."""
        return self.hop.user

    def abort(self) -> None:
        """Handle the end of the transport."""
        self._answers.put(None)

    def _succeeded(self, message: Message) -> None:
        self.authenticated = True
        self.transport._auth_trigger()
        self._answers.put(True)

    def _failed(self, message: Message) -> None:
        methods = message.get_list()
        self._answers.put(_Failure(methods, message.get_boolean()))

    def _bannered(self, message: Message) -> None:
        self.banner = message.get_text()[:2000]

    # The login

    def run(self, identities: list[Identity]) -> None:
        """Log in. Raises AuthenticationFailed, QuestionUnanswered, CarrierEnded."""
        service = Message()
        service.add_byte(common.cMSG_SERVICE_REQUEST)
        service.add_string("ssh-userauth")
        self.transport._send_message(service)
        offers = list(identities) if "publickey" in self.hop.methods else []
        state: _Failure | None = _Failure(["publickey", "keyboard-interactive", "password"], False)
        if not offers:
            state = self._request("none")
        questions = {"keyboard-interactive": self.hop.prompts, "password": self.hop.prompts}
        for _ in range(_MAX_ROUNDS):
            if state is None:
                return
            method = self._next_method(state, offers, questions)
            if method == "publickey":
                state = self._offer(offers.pop(0), state)
            elif method == "keyboard-interactive":
                questions[method] -= 1
                state = self._interactive()
            elif method == "password":
                questions[method] -= 1
                state = self._password()
            else:
                break
        raise self._refused(state, identities)

    def _next_method(self, state: _Failure, offers: list[Identity], questions: dict[str, int]) -> str:
        for method in self.hop.methods:
            if method in state.methods and (
                offers if method == "publickey" else questions.get(method, 0) > 0
            ):
                return method
        return ""

    def _refused(self, state: _Failure | None, identities: list[Identity]) -> AuthenticationFailed:
        label = self.hop.label
        names = [identity.name for identity in identities]
        offered = f"The login offered {', '.join(names)}" if names else "The login had no key to offer"
        methods = ", ".join(state.methods) if state else ""
        return AuthenticationFailed(
            f"{label} refused the login. {offered}; the host accepts: {methods or 'unknown'}.",
            hint="Set User and IdentityFile for this host in your ssh_config, and add the public key to"
            " ~/.ssh/authorized_keys on the host. Or give the target another user or key.",
        )

    def _request(
        self, method: str, fill: Callable[[Message], None] | None = None, *, wait: bool = True
    ) -> Any:
        self._method = method
        self._requests += 1
        message = Message()
        message.add_byte(common.cMSG_USERAUTH_REQUEST)
        message.add_string(self.hop.user)
        message.add_string(_SERVICE)
        message.add_string(method)
        if fill is not None:
            fill(message)
        self.transport._send_message(message)
        return self._verdict() if wait else None

    def _verdict(self) -> Any:
        """Return None for a success, or a failure, or the message that asks for more."""
        try:
            answer = self._answers.get(timeout=_PATIENCE_S)
        except queue.Empty:
            raise HostUnreachable(
                f"{self.hop.label} did not answer the login within {_PATIENCE_S:.0f} s.",
                hint="Connect again. If this repeats, look at the host's log and the network.",
            ) from None
        if answer is True:
            return None
        if answer is None:
            raise self.ended()
        return answer

    def ended(self) -> CarrierEnded:
        """Return why the connection ended."""
        return ended(
            self.transport,
            self.hop.label,
            f"{self.hop.label} closed the connection during the login",
            "Too many keys are a common reason: set IdentityFile and IdentitiesOnly for this host in your"
            " ssh_config. Otherwise look at the host's log.",
        )

    # public keys

    def _offer(self, identity: Identity, state: _Failure) -> _Failure | None:
        server_takes = self.transport.server_extensions.get("server-sig-algs", b"")
        algorithm = identity.algorithm(
            server_takes.decode() if isinstance(server_takes, bytes) else server_takes
        )
        if identity.locked:

            def query(message: Message) -> None:
                message.add_boolean(False)
                message.add_string(algorithm)
                message.add_string(identity.blob)

            answer = self._request("publickey", query)
            if not isinstance(answer, Message):
                return answer  # type: ignore[no-any-return]
            if not self._unlock(identity):
                return state
        signed = Message()
        signed.add_string(self.transport.session_id)
        body = Message()
        body.add_byte(common.cMSG_USERAUTH_REQUEST)
        for text in (self.hop.user, _SERVICE, "publickey"):
            body.add_string(text)
        body.add_boolean(True)
        body.add_string(algorithm)
        body.add_string(identity.blob)
        try:
            signature = identity.sign(signed.asbytes() + body.asbytes(), algorithm)
        except (OSError, ValueError, paramiko.SSHException):
            return state  # the agent refused, or the key cannot sign: try the next one

        def fill(message: Message) -> None:
            message.add_boolean(True)
            message.add_string(algorithm)
            message.add_string(identity.blob)
            message.add_string(signature)

        eager = self._then if self._requests == 0 else None
        self._request("publickey", fill, wait=False)
        if eager is not None:
            eager()
        answer = self._verdict()
        if answer is None:
            self.taken = identity.blob
            self.eager_worked = eager is not None
        return answer  # type: ignore[no-any-return]

    def _unlock(self, identity: Identity) -> bool:
        """Ask for the passphrase until the key opens. False: do not use this key. Raises QuestionUnanswered."""
        for attempt in range(_MAX_PASSPHRASES):
            again = "Wrong answer. " if attempt else ""
            answer = self._ask("passphrase", f"{again}Passphrase of the key {identity.name}")
            try:
                identity.unlock(answer)
            except WrongPassphrase:
                continue
            return True
        raise AuthenticationFailed(
            f"The key {identity.name} stayed locked after {_MAX_PASSPHRASES} wrong passphrases.",
            hint="Connect again with the right passphrase, or add the key to your ssh-agent with ssh-add.",
        )

    # Answers of a person

    def _ask(self, kind: str, text: str, echo: bool = False) -> str:
        answer = self._ask_person(kind=kind, text=text, echo=echo)
        if answer is None:
            raise QuestionUnanswered(
                f"{self.hop.label} asked, and nobody answered: {text}",
                hint="Connect again and answer in the Lab, or set up a key that asks nothing (ssh-agent).",
            )
        return str(answer)

    def _password(self) -> Any:
        answer = self._ask("password", f"Password of {self.hop.label}")

        def fill(message: Message) -> None:
            message.add_boolean(False)
            message.add_string(answer)

        state = self._request("password", fill)
        if isinstance(state, Message):
            raise AuthenticationFailed(
                f"The password of {self.hop.label} has expired.",
                hint="Set a new password on the host: log in with ssh once.",
            )
        return state

    def _interactive(self) -> Any:
        def fill(message: Message) -> None:
            message.add_string("")
            message.add_string("")

        state = self._request("keyboard-interactive", fill)
        for _ in range(_MAX_ROUNDS):
            if not isinstance(state, Message):
                return state
            heading = "\n".join(part for part in (state.get_text().strip(), state.get_text().strip()) if part)
            state.get_text()  # language
            reply = Message()
            reply.add_byte(common.cMSG_USERAUTH_INFO_RESPONSE)
            count = state.get_int()
            reply.add_int(count)
            for _ in range(count):
                prompt, echo = state.get_text().strip(), state.get_boolean()
                text = "\n".join(part for part in (heading, f"{self.hop.label}: {prompt}") if part)
                reply.add_string(self._ask("keyboard_interactive", text, echo))
            self.transport._send_message(reply)
            state = self._verdict()
        return _Failure([], False)


def ended(transport: Any, label: str, closed: str, hint: str) -> CarrierEnded:
    """Return why a connection ended before its command ran.

    Its code is ``not_opened``: a server that refuses the requests may reset the connection as a network does,
    so sending them one by one may help.
    """
    error = transport.get_exception()
    return CarrierEnded(f"{closed}: {error or 'no reason given'}.", hint=hint, code="not_opened")
