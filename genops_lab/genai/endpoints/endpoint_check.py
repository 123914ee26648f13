"""Test an endpoint step by step: a failed step says what to do, and the steps behind it are skipped."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from typing import get_args
from urllib.parse import urlsplit

import msgspec

from genops_lab.core.errors import Failed, GenOpsError

from .endpoint import Connection, Endpoint, certificates
from .failures import CallFailed, Failure
from .models import EndpointStep, EndpointStepState, ModelEndpoint, Probe, StepName
from .probes import PROMPTS, changed, differences, probe, settings_without
from .providers import INSTALL, MISSING, is_installed

STEPS: tuple[StepName, ...] = get_args(StepName)
_CONNECT_S = 10.0
#: The longest wait for a turn of the shared limits.
_TURN_S = 60.0
_SOON_S = 14 * 86400
#: The prompt whose answer is streamed: a sentence, so that it has several tokens.
_STREAMED = PROMPTS[3]
#: Headers with limits: OpenAI's (and those of servers like it), Anthropic's, and the IETF's draft.
_LIMITS = {
    "requests": ("x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit", "ratelimit-limit"),
    "tokens": ("x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"),
}
_NO_MODEL = re.compile(
    r"HTTP 404|(unknown|invalid|no such) model|model.{0,200}(not exist|not found|unknown)", re.I
)
_HINTS: dict[Failure, str] = {
    "refused": "Check the model's name and the URL: genops endpoints show {name}",
    "rate": "Wait a minute and test again. Give the endpoint limits: --requests-per-minute, --tokens-per-minute.",
    "server": "The endpoint has an error of its own. Test again later, or read its log.",
    "timeout": "Wait until the model is loaded, or add the endpoint again with a longer --timeout.",
    "connection": "Check that the server still runs: genops endpoints show {name}",
    "cut": "Read the log of the server, or of a proxy before it: it closed the connection.",
    "malformed": "Check the URL: it ends before /{path}, such as https://api.example.com/v1.",
}


class _StepFailed(CallFailed):
    """A step that failed, with what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("connection", message)
        self.hint = hint


class StepwiseTest:
    """One test of an endpoint. ``tell`` gets all steps so far, after each."""

    def __init__(self, listed: ModelEndpoint, tell: Callable[[list[EndpointStep]], None]) -> None:
        self.steps: list[EndpointStep] = []
        self._listed, self._tell, self._began = listed, tell, time.monotonic()

    async def run(self, connected: Awaitable[Endpoint], *, accept: bool, longest_s: float) -> Probe:
        """Return what the endpoint answered. Raises CallFailed and GenOpsError, with the step that failed in ``steps``.

        connected: finds the endpoint with its key. accept: do not compare with the first test.
        """
        try:
            return await self._run(connected, accept, longest_s)
        except (CallFailed, GenOpsError) as error:
            self._add("failed", _sentence(error.message), self._hint(error))
            for _ in STEPS[len(self.steps) :]:
                self._add("skipped", "Not reached.")
            raise

    async def _run(self, connected: Awaitable[Endpoint], accept: bool, longest_s: float) -> Probe:
        endpoint = await connected
        if endpoint.litellm and not is_installed():
            raise Failed(MISSING, hint=INSTALL)
        key = f" The secret {self._listed.key_secret} has its key." if self._listed.key_secret else ""
        self._add("ok", f"The list has it.{key}")
        endpoint = msgspec.structs.replace(endpoint, timeout_s=min(endpoint.timeout_s, longest_s))
        await self._address(endpoint)
        async with Connection(endpoint) as connection:
            listed = await connection.models()
            now = await self._answers(connection, listed)
            limits = dict(connection.headers)
            await self._streams(connection, now)
        self._limits(limits)
        self._fingerprint(now, None if accept else self._listed.test.first)
        return now

    async def _address(self, endpoint: Endpoint) -> None:
        """Connect to the address, and agree on TLS. Raises _StepFailed."""
        if not endpoint.url:
            self._add("skipped", "LiteLLM knows the provider's address.")
            self._add("skipped", "LiteLLM connects.")
            return
        parts = urlsplit(endpoint.url)
        host, secure = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
            self._add("skipped", "A proxy connects, as JupyterLab's environment says.")
            self._add("skipped", "The proxy's connection is used.")
            return
        await _close(await _open(host, port))
        self._add("ok", f"{host}:{port} accepts connections.")
        if secure:
            self._add(*await _tls(host, port))
        elif _is_here(host):
            self._add("ok", "No TLS is needed: the address is on this machine.")
        elif endpoint.key:
            hint = "Use https, or a tunnel: others on the network can read the key."
            self._add("warning", f"The key goes to {host} without TLS.", hint)
        else:
            hint = "Use https, or a tunnel: others on the network can read prompts and answers."
            self._add("warning", f"Prompts go to {host} without TLS.", hint)

    async def _answers(self, connection: Connection, listed: Sequence[str]) -> Probe:
        """Ask the probes. The first answer says that the key is accepted and the model known. Raises CallFailed."""
        endpoint = connection.endpoint

        def told(done: int) -> None:
            if done == 1:
                self._add("ok", "The endpoint accepts the key." if endpoint.key else "It needs no key.")

        try:
            now = await probe(connection, told, _TURN_S)
        except CallFailed as failed:
            if STEPS[len(self.steps)] == "key" and failed.kind != "key":
                self._before_refusal(failed, listed)
            elif STEPS[len(self.steps)] == "model":  # a later question
                self._add("ok", f"The endpoint knows {endpoint.model}.")
            raise
        self._model(endpoint, now, listed)
        count = len(now.answers)
        what = "texts have embeddings" if endpoint.task == "embeddings" else "questions are answered"
        without = f" The model refuses the settings {', '.join(now.without)}." if now.without else ""
        self._add("ok", f"{count} of {count} {what}, median {now.latency_ms:,.0f} ms.{without}")
        if now.usage_known:
            self._add("ok", "The endpoint counts the tokens of a call.")
        else:
            hint = "Costs are not known. Budgets count what is reserved for each call."
            self._add("warning", "The endpoint does not count the tokens of a call.", hint)
        return now

    def _before_refusal(self, failed: CallFailed, listed: Sequence[str]) -> None:
        """Add the steps before the one at which the first call failed."""
        if failed.kind == "refused" and _NO_MODEL.search(failed.message):
            self._add("ok", "The endpoint did not refuse the key.")
            self._known = listed
        else:
            self._add("skipped", "Not known: no call was answered.")
            self._add("skipped", "Not known: no call was answered.")

    def _model(self, endpoint: Endpoint, now: Probe, listed: Sequence[str]) -> None:
        named = f"It answers as {now.model}." if now.model else "Its answers name no model."
        is_listed = any(each == endpoint.model or each.endswith(f"/{endpoint.model}") for each in listed)
        if listed and not is_listed and not endpoint.litellm:
            hint = f"It lists {_few(listed)}. Name one of them, or keep the name if this model is meant."
            self._add("warning", f"The endpoint does not list {endpoint.model}. {named}", hint)
        else:
            self._add("ok", f"The endpoint knows {endpoint.model}. {named}")

    async def _streams(self, connection: Connection, now: Probe) -> None:
        """Ask for one streamed answer."""
        endpoint = connection.endpoint
        if endpoint.task == "embeddings":
            self._add("skipped", "Embeddings are not streamed.")
            return
        if endpoint.litellm:
            self._add("skipped", "LiteLLM's answers come whole.")
            return
        parts: list[float] = []
        hint = "Evaluations ask for whole answers and work. A chat shows each answer at its end."
        asked, settings = [{"role": "user", "content": _STREAMED}], settings_without(now.without)
        try:
            async with connection.turn(asked, settings, _TURN_S):
                began = time.monotonic()
                answer = await connection.ask_streamed(
                    asked, settings, lambda _text: parts.append(time.monotonic())
                )
        except CallFailed as failed:
            self._add("warning", _sentence(f"A streamed answer failed: {failed.message}"), hint)
            return
        if len(parts) < 2:
            self._add("warning", "The answer came in one part.", hint)
            return
        first = f"{len(parts)} parts, the first after {(parts[0] - began) * 1000:,.0f} ms."
        if answer.usage.known or not now.usage_known:
            self._add("ok", first)
        else:
            self._add("warning", f"{first} Streams do not say their tokens.", "Their cost is not known.")

    def _limits(self, headers: dict[str, str]) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        found = {
            what: lower[name]
            for what, names in _LIMITS.items()
            for name in reversed(names)
            if lower.get(name, "")[:1].isdigit()
        }
        if self._listed.litellm:
            self._add("skipped", "LiteLLM passes no headers on.")
        elif found:
            said = " and ".join(f"{count} {what}" for what, count in found.items())
            hint = "" if self._has_limits else "Keep to them: --requests-per-minute, --tokens-per-minute."
            self._add("ok", f"The headers of answers name limits: {said}.", hint)
        else:
            self._add("optional", "The headers of answers name no limits.")

    @property
    def _has_limits(self) -> bool:
        limits = self._listed.limits
        return limits.requests_per_minute is not None or limits.tokens_per_minute is not None

    def _fingerprint(self, now: Probe, first: Probe | None) -> None:
        given = f"fingerprint {now.fingerprint}" if now.fingerprint else "no fingerprint"
        model = f"{now.model or 'No name'}, {given}"
        if first is None:
            self._add("ok", f"{model}. Later tests compare with this one.")
            return
        found = differences(first, now)
        if changed(first, now):
            hint = f"Keep the new answers to compare with: genops endpoints test {self._listed.name} --accept"
            self._add("warning", f"{model}. Another model answers than in the first test.", hint)
        elif found:
            self._add(
                "ok", f"{model}. {len(found)} of {len(now.answers)} answers differ from the first test."
            )
        else:
            self._add("ok", f"{model}. The answers are those of the first test.")

    def _hint(self, error: CallFailed | GenOpsError) -> str:
        """Return what to do about the failed step."""
        if isinstance(error, GenOpsError | _StepFailed):
            return error.hint
        listed, at = self._listed, STEPS[len(self.steps)]
        if error.kind == "key":
            if listed.key_secret:
                return f"Set the key again: genops secrets set {listed.key_secret}"
            if listed.kind != "own":
                return f"See where it comes from: genops endpoints show {listed.name}"
            return "Keep the key (genops secrets set SECRET), and add the endpoint again with --key-secret SECRET."
        if at == "model" and self._known:
            return f"It lists {_few(self._known)}. Add the endpoint again with one of them."
        path = "embeddings" if listed.task == "embeddings" else "chat/completions"
        return _HINTS[error.kind].format(name=listed.name, path=path)

    #: The models that the endpoint lists.
    _known: Sequence[str] = ()

    def _add(self, state: EndpointStepState, message: str, hint: str = "") -> None:
        now = time.monotonic()
        name = STEPS[len(self.steps)]
        took = 0.0 if state == "skipped" else round(now - self._began, 3)
        self._began = now
        step = EndpointStep(step=name, state=state, message=message, hint=hint, took_s=took)
        self.steps.append(step)
        self._tell([*self.steps])


async def _open(
    host: str, port: int, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect. Raises _StepFailed."""
    try:
        return await asyncio.wait_for(asyncio.open_connection(host, port, ssl=context), _CONNECT_S)
    except asyncio.TimeoutError:
        what, hint = f"no connection within {_CONNECT_S:g} s", "Check the firewall and the VPN."
    except socket.gaierror as error:
        what, hint = f"the name is not known ({error.strerror})", "Check the URL, and the network's DNS."
    except ssl.SSLCertVerificationError as error:
        what = f"its certificate is not trusted ({error.verify_message})"
        hint = "Name the file of its authority as SSL_CERT_FILE in JupyterLab's environment, or check the host's name."
    except ssl.SSLError as error:
        what = f"it does not agree on TLS ({error.reason or error})"
        hint = "Use http:// in the URL if the server has no TLS."
    except UnicodeError:
        what, hint = "this is no name of a host", "Check the URL."
    except OSError as error:
        told = re.search(r"\[Errno (\d+)\]", str(error))  # of several addresses, the first
        number = error.errno or (int(told[1]) if told else 0)
        what = os.strerror(number).lower() if number > 0 else str(error) or "it closed the connection"
        hint = "Start the server, or check the host and the port in the URL."
        if context is not None:  # the port was open just now
            hint = "Use http:// in the URL if the server has no TLS."
    raise _StepFailed(f"Cannot reach {host}:{port}: {what}.", hint)


async def _close(opened: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    writer = opened[1]
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _tls(host: str, port: int) -> tuple[EndpointStepState, str, str]:
    """Return the state of the step, what was found and what to do. Raises _StepFailed."""
    context = await asyncio.to_thread(certificates)
    opened = await _open(host, port, context)
    found = opened[1].get_extra_info("ssl_object")
    version, certificate = found.version(), found.getpeercert() or {}
    await _close(opened)
    ends = ssl.cert_time_to_seconds(certificate["notAfter"]) if "notAfter" in certificate else None
    if ends is None:
        return "ok", f"{version}; the certificate is trusted.", ""
    date = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if ends - time.time() < _SOON_S:
        return "warning", f"{version}; the certificate ends on {date}.", "Have the certificate renewed."
    return "ok", f"{version}; the certificate is trusted until {date}.", ""


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + ("" if message.endswith((".", "!", "?")) else ".")


def _few(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
