"""The test of an endpoint, step by step: each fault fails at its step, with what to do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.commands.document import Table
from genops_lab.commands.views import endpoints as views
from genops_lab.core.settings import Settings
from genops_lab.deployments.secrets import Secrets
from genops_lab.genai.endpoints import endpoint_check
from genops_lab.genai.endpoints.endpoint_check import STEPS
from genops_lab.genai.endpoints.models import EndpointStep, EndpointTest, NewEndpoint, TestEndpoint
from genops_lab.genai.endpoints.service import TOPIC, EndpointsService
from tests.support.authority import Authority
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.openai_stub import OpenAIStub
from tests.support.rooms import Rooms
from tests.support.warm import warm_workers


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as found:
        yield found


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    data = module_home.path / "data"
    place_store(data)
    with warm_workers():
        found = Rooms(Settings(data_dir=data))
        yield found
        found.close()


class Case:
    """An endpoint of the administrator, which may have any address, and its tests."""

    def __init__(self, rooms: Rooms, stub: OpenAIStub, folder: Path) -> None:
        self.rooms, self.stub, self.folder = rooms, stub, folder
        Secrets(folder / "secrets").set("STUB_KEY", stub.key)

    def test(self, accept: bool = False, **given: Any) -> EndpointTest:
        """Test an endpoint with these fields; all others are those of the stub."""
        fields = {"name": "stub", "url": self.stub.url, "model": "stub-1", "key_secret": "STUB_KEY", **given}
        settings = Settings(data_dir=self.folder, endpoints=(NewEndpoint(**fields),))
        rooms = self.rooms
        service = EndpointsService(settings, rooms.deployments, rooms.mlflow, rooms.events, rooms.live)
        found = rooms.run(service.test_endpoint("stub", TestEndpoint(accept=accept)))
        assert tuple(each.step for each in found.steps) == STEPS
        assert self.stub.key not in str(found)
        return found

    def steps(self, **given: Any) -> dict[str, EndpointStep]:
        """Return the steps of a test by name."""
        return {each.step: each for each in self.test(**given).steps}


@pytest.fixture
def tested(rooms: Rooms, stub: OpenAIStub, tmp_path: Path) -> Case:
    stub.reset()
    return Case(rooms, stub, tmp_path)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def behind_tls(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """Yield the port of a server that speaks TLS, and passes all on to ``port``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, out = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, out), copy(inner, writer))

    async def start() -> asyncio.Server:
        return await asyncio.start_server(carry, "localhost", 0, family=socket.AF_INET, ssl=context)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def test_all_steps_of_an_endpoint_that_answers(tested: Case) -> None:
    heard: list[EndpointTest] = []
    listener = lambda _topic, found: heard.append(found)  # noqa: E731
    tested.rooms.live.join(f"{TOPIC}stub", listener)
    tested.stub.set(headers={"x-ratelimit-limit-requests": "500", "x-ratelimit-limit-tokens": "30000"})
    found = tested.test()
    tested.rooms.live.leave(f"{TOPIC}stub", listener)
    assert [each.state for each in found.steps] == ["ok"] * 10, found.steps
    assert [len(each.steps) for each in heard] == list(range(1, 11)), "each step is told when it ends"
    steps = {each.step: each for each in found.steps}
    assert "STUB_KEY" in steps["name"].message
    assert steps["answers"].message.startswith("5 of 5 questions are answered")
    assert steps["limits"].message.endswith("500 requests and 30000 tokens.")
    assert "--requests-per-minute" in steps["limits"].hint
    assert "the first after" in steps["streams"].message
    assert steps["fingerprint"].message == "stub-1, fingerprint fp_1. Later tests compare with this one."
    assert tested.stub.status()["calls"] == 6
    table = views.tested("stub", found).blocks[0]
    assert isinstance(table, Table) and [row[1] for row in table.rows] == [*STEPS]
    again = {each.step: each for each in tested.test().steps}
    assert again["fingerprint"].message.endswith("The answers are those of the first test.")


@pytest.mark.parametrize(
    ("faults", "given", "failed", "hint"),
    [
        ({}, {"key_secret": "GONE"}, "name", "genops secrets set GONE"),
        ({}, {"url": "http://127.0.0.1:{closed}/v1"}, "address", "Start the server"),
        ({}, {"url": "http://a..b/v1"}, "address", "Check the URL"),
        ({}, {"url": "https://127.0.0.1:{port}/v1"}, "tls", "Use http:// in the URL"),
        ({"key": "other"}, {}, "key", "genops secrets set STUB_KEY"),
        ({}, {"key_secret": ""}, "key", "genops endpoints show stub"),
        ({"only_model": True}, {"model": "typo"}, "model", "It lists stub-1."),
        ({"error_share": 1.0}, {}, "answers", "an error of its own"),
        ({"hang_share": 1.0}, {"timeout_s": 0.3}, "answers", "--timeout"),
        ({"storm_until": 1e12}, {}, "answers", "--requests-per-minute"),
        ({"bad_json_share": 1.0}, {}, "answers", "ends before /chat/completions"),
        ({"cut_share": 1.0}, {}, "answers", "closed the connection"),
    ],
    ids=["secret", "refused", "name", "no-tls", "key", "no-key", "model", "500", "hang", "429", "json", "cut"],
)  # fmt: skip
def test_a_fault_fails_at_its_step(
    tested: Case, faults: dict[str, Any], given: dict[str, Any], failed: str, hint: str
) -> None:
    tested.stub.set(**faults)
    if "url" in given:
        given = {"url": given["url"].format(closed=closed_port(), port=tested.stub.port)}
    steps = tested.steps(**given)
    assert [each.step for each in steps.values() if each.state == "failed"] == [failed], steps
    assert hint in steps[failed].hint, steps[failed]
    behind = [each for each in steps.values() if STEPS.index(each.step) > STEPS.index(failed)]
    assert all(each.state == "skipped" for each in behind)
    if failed == "answers":
        assert steps["key"].state == steps["model"].state == "skipped", "no answer says that it was accepted"


def test_what_an_endpoint_lacks_is_a_warning(tested: Case) -> None:
    assert tested.test(model="alias").state == "answers"
    tested.stub.set(usage=False, refuses=["stream"])
    steps = tested.steps(model="alias")
    assert "does not list alias" in steps["model"].message and "It lists stub-1." in steps["model"].hint
    assert "does not count the tokens" in steps["tokens"].message
    assert "A streamed answer failed" in steps["streams"].message
    assert [steps[name].state for name in ("model", "tokens", "streams")] == ["warning"] * 3
    assert steps["limits"].state == "optional"
    tested.stub.set(fingerprint="fp_9", refuses=[])
    steps = tested.steps(model="alias")
    assert steps["fingerprint"].state == "warning" and "--accept" in steps["fingerprint"].hint
    assert tested.test(model="alias", accept=True).steps[-1].state == "ok"


def test_a_key_that_is_revoked_in_the_middle_fails_at_the_answers(tested: Case) -> None:
    tested.stub.set(key_revoked_after=3)
    found = tested.test()
    steps = {each.step: each for each in found.steps}
    assert (found.state, steps["key"].state, steps["answers"].state) == ("key_refused", "ok", "failed")
    assert "genops secrets set STUB_KEY" in steps["answers"].hint


def test_certificates_are_checked(tested: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, certificate, key = Authority(tmp_path), tmp_path / "own.pem", tmp_path / "own.key"
    authority.signed(certificate, key)
    with behind_tls(tested.stub.port, certificate, key) as port:
        url = f"https://localhost:{port}/v1"
        steps = tested.steps(url=url)
        assert steps["tls"].state == "failed" and "is not trusted" in steps["tls"].message
        assert "SSL_CERT_FILE" in steps["tls"].hint
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        steps = tested.steps(url=url)
        assert steps["tls"].state == "ok" and "the certificate is trusted until 2125-" in steps["tls"].message
        assert steps["answers"].state == "ok"
    authority.signed(certificate, key, until=time.time() + 3 * 86400)
    with behind_tls(tested.stub.port, certificate, key) as port:
        steps = tested.steps(url=f"https://localhost:{port}/v1")
        assert steps["tls"].state == "warning" and "the certificate ends on" in steps["tls"].message


def test_an_address_that_cannot_be_had_here(tested: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mock of the network: no name that DNS refuses and no host that drops packets are the same on all machines."""

    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def silent(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(endpoint_check.asyncio, "open_connection", unknown)
    steps = tested.steps(url="http://models.example/v1")
    assert "the name is not known" in steps["address"].message and "DNS" in steps["address"].hint
    monkeypatch.setattr(endpoint_check.asyncio, "open_connection", silent)
    monkeypatch.setattr(endpoint_check, "_CONNECT_S", 0.05)
    steps = tested.steps(url="http://models.example/v1")
    assert "no connection within" in steps["address"].message and "VPN" in steps["address"].hint


def test_embeddings_have_the_same_steps(tested: Case) -> None:
    steps = tested.steps(task="embeddings")
    assert "5 of 5 texts have embeddings" in steps["answers"].message, steps
    assert steps["streams"].state == "skipped" and steps["tokens"].state == "ok"
    first = tested.test(task="embeddings")
    assert first.differences == [] and first.probe is not None
    assert first.probe.answers[0].text.startswith("16 numbers; cosines ")
    tested.stub.set(embedding_size=8)
    changed = tested.test(task="embeddings")
    assert changed.state == "changed" and "8 numbers" in changed.differences[0]
    tested.stub.set(bad_embeddings=True)
    steps = tested.steps(task="embeddings")
    assert steps["answers"].state == "failed" and "/embeddings" in steps["answers"].hint
    tested.stub.reset(zero_embeddings=[endpoint_check.PROMPTS[0]])
    assert "cannot be compared: an embedding is zero" in tested.test(task="embeddings").message
