"""Models that answer: one list, tests of each, and what a call may cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.settings import Settings
from genops_lab.deployments.secrets import Secrets
from genops_lab.genai.endpoints import prices
from genops_lab.genai.endpoints.endpoint import CallFailed, Connection, Endpoint, most_tokens
from genops_lab.genai.endpoints.limits import Budget, BudgetReached, Limits, Price, Usage
from genops_lab.genai.endpoints.models import NewEndpoint, TestEndpoint
from genops_lab.genai.endpoints.service import EndpointsService
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.openai_stub import OpenAIStub, answer_to
from tests.support.rooms import Rooms
from tests.support.warm import warm_workers

from .answering import Answering, answer

HELLO = [{"role": "user", "content": "Hello there"}]


@pytest.fixture(scope="module")
def stub() -> Iterator[OpenAIStub]:
    with OpenAIStub() as found:
        yield found


@pytest.fixture
def asked(stub: OpenAIStub) -> OpenAIStub:
    stub.reset()
    return stub


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    data = module_home.path / "data"
    place_store(data)
    with warm_workers():
        found = Rooms(Settings(data_dir=data))
        yield found
        found.close()


def service_of(rooms: Rooms, folder: Path, given: tuple[NewEndpoint, ...] = ()) -> EndpointsService:
    settings = Settings(data_dir=folder, endpoints=given)
    return EndpointsService(settings, rooms.deployments, rooms.mlflow, rooms.events, rooms.live)


def ask(stub: OpenAIStub, settings: dict[str, Any], parts: list[str] | None = None, **fields: Any) -> Any:
    """The answer to one call, streamed where ``parts`` is given, or why there is none."""
    endpoint = Endpoint(**{"name": "stub", "url": stub.url, "model": "m", "key": stub.key, **fields})

    async def call() -> Any:
        async with Connection(endpoint) as connection:
            try:
                if parts is None:
                    return await connection.ask(HELLO, settings)
                return await connection.ask_streamed(HELLO, settings, parts.append)
            except CallFailed as failed:
                return failed

    return asyncio.run(call())


def test_a_stream_says_its_tokens_and_the_same_as_a_whole_answer(asked: OpenAIStub) -> None:
    asked.set(cached_tokens=1, reasoning_tokens=7)
    parts: list[str] = []
    streamed, whole = ask(asked, {}, parts), ask(asked, {})
    assert streamed == whole and "".join(parts) == whole.text == answer_to("Hello there") and len(parts) > 1
    assert whole.usage == Usage(input=2, output=11, cached_input=1, reasoning=7)
    assert (whole.model, whole.fingerprint, whole.finish_reason) == ("stub-1", "fp_1", "stop")
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    streamed, whole = ask(asked, {"tools": tools}, []), ask(asked, {"tools": tools})
    assert [each["function"] for each in streamed.tool_calls] == [
        each["function"] for each in whole.tool_calls
    ]
    assert json.loads(streamed.tool_calls[0]["function"]["arguments"]) == {"question": "Hello there"}
    asked.set(usage=False)
    assert not ask(asked, {}).usage.known and not ask(asked, {}, []).usage.known


@pytest.mark.parametrize("parts", [None, []], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        ({"error_share": 1.0}, "server"), ({"cut_share": 1.0}, "cut"), ({"key": "other"}, "key"),
        ({"refuses": ["temperature"]}, "refused"), ({"hang_share": 1.0}, "timeout"), ({"away_until": 1e12}, "cut"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_fault_has_its_kind(
    asked: OpenAIStub, faults: dict[str, Any], kind: str, parts: list[str] | None
) -> None:
    asked.set(**faults)
    failed = ask(asked, {"temperature": 0}, parts, timeout_s=0.3)
    assert failed.kind == kind, failed
    assert asked.key not in str(failed)


@pytest.mark.parametrize("parts", [None, []], ids=["whole", "stream"])
def test_a_key_that_an_endpoint_repeats_is_not_kept(parts: list[str] | None) -> None:
    told = {"error": {"message": "Incorrect API key provided: sk-of-the-test."}}
    line = {"choices": [{"delta": {"content": "You sent sk-of-the-test"}, "finish_reason": "stop"}]}
    whole = answer("You sent sk-of-the-test")
    bodies = [
        (401, json.dumps(told).encode()),
        (200, whole if parts is None else f"data: {json.dumps(line)}\n".encode()),
    ]
    stub = Answering(lambda number, text, headers: (*bodies[number], 0.0))
    with stub.serving() as url:
        endpoint = Endpoint(name="a", url=url, model="m", key="sk-of-the-test")

        async def calls() -> list[str]:
            async with Connection(endpoint) as connection:
                found = []
                for _ in bodies:
                    try:
                        answered = (
                            await connection.ask(HELLO, {})
                            if parts is None
                            else await connection.ask_streamed(HELLO, {}, parts.append)
                        )
                        found.append(answered.text)
                    except CallFailed as failed:
                        found.append(failed.message)
                return found

        found = asyncio.run(calls())
    assert found == ["HTTP 401: Incorrect API key provided: [key].", "You sent [key]"]


def test_an_answer_without_an_end_is_left() -> None:
    """Ten megabytes come of a billion; the rest is not waited for."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n" + b" " * 10_000_000)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()

    async def call() -> CallFailed | None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            endpoint = Endpoint(name="a", url=f"http://127.0.0.1:{port}/v1", model="m")
            async with Connection(endpoint) as connection:
                try:
                    await connection.ask(HELLO, {})
                except CallFailed as failed:
                    return failed
        return None

    failed = asyncio.run(asyncio.wait_for(call(), 60))
    assert failed is not None
    assert (failed.kind, failed.message) == ("malformed", "the answer has over 8,000,000 bytes")


def test_retry_after_is_read_as_seconds_and_as_a_date(asked: OpenAIStub) -> None:
    asked.set(storm_until=1e12, retry_after_s=30)
    assert ask(asked, {}).after_s == 30
    asked.set(retry_after="date")
    assert 25 < ask(asked, {}).after_s <= 30
    asked.set(retry_after="none")
    assert ask(asked, {}).after_s is None


@given(
    seed=st.integers(0, 10**6),
    at_once=st.integers(1, 8),
    tokens=st.integers(50, 3000) | st.none(),
    money=st.floats(0.0001, 0.02) | st.none(),
    reasoning_price=st.floats(0, 50) | st.none(),
)
@example(seed=0, at_once=2, tokens=None, money=0.018191020781022228, reasoning_price=33.75)  # nobody counted
def test_the_budget_is_never_passed(
    seed: int, at_once: int, tokens: int | None, money: float | None, reasoning_price: float | None
) -> None:
    """Calls begin and end in any order; each uses anything up to what it may, or does not say how much."""
    chance, price = (
        random.Random(seed),
        Price(input=2.0, output=8.0, cached_input=0.5, reasoning=reasoning_price),
    )
    budget = Budget(Limits(tokens=tokens, money=money), price)
    flying: list[tuple[Usage, int]] = []
    really = money_used = 0.0
    for _step in range(60):
        if len(flying) < at_once and chance.random() < 0.6:
            settings = {chance.choice(["max_tokens", "max_completion_tokens"]): chance.randint(1, 200)}
            most = most_tokens([{"role": "user", "content": "x" * chance.randint(0, 300)}], settings)
            try:
                flying.append((budget.reserve(most), 0))
            except BudgetReached:
                continue
        elif flying:
            reserved, _ = flying.pop(chance.randrange(len(flying)))
            output = chance.randint(0, reserved.output)
            used = Usage(
                input=chance.randint(0, reserved.input), output=output, reasoning=chance.randint(0, output)
            )
            told = Usage(known=False) if chance.random() < 0.2 else used
            really += used.total
            money_used += price.of(used)
            budget.settle(reserved, told)
        assert tokens is None or really <= budget.spent.total <= tokens
        assert money is None or money_used <= money + 1e-12


def test_an_endpoint_that_ignores_max_tokens_passes_no_budget_twice(asked: OpenAIStub) -> None:
    asked.set(ignores_max_tokens=500)
    budget, calls = Budget(Limits(tokens=1000), None), 0
    with pytest.raises(BudgetReached):
        while True:
            reserved = budget.reserve(most_tokens(HELLO, {"max_tokens": 5}))
            budget.settle(reserved, ask(asked, {"max_tokens": 5}).usage)
            calls += 1
    assert calls == 1 and budget.spent.total <= 1000


def test_prices_of_cached_reasoning_and_batch_tokens_stand_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage(input=1_000_000, cached_input=400_000, output=1_000_000, reasoning=500_000)
    price = Price(input=1, output=10, cached_input=0.1, reasoning=4)
    assert price.of(usage) == pytest.approx(0.6 + 0.04 + 5 + 2)
    assert price.of_batch(usage) is None
    assert Budget(Limits(), None).money is None
    package = tmp_path / "litellm"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('the server must not import it')")
    row = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "output_cost_per_token_batches": 1e-6}
    (package / "model_prices_and_context_window_backup.json").write_text(
        json.dumps({"m": row, "half": {"x": 1}})
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "litellm", raising=False)  # another test may have imported the real one
    prices._table.cache_clear()
    found = prices.price_of("m")
    prices._table.cache_clear()
    assert found is not None and (found.input, found.output, found.batch_output) == (1.0, 2.0, 1.0)
    assert found.batch_input is None and found.source == "LiteLLM" and len(found.date) == 10
    assert prices.price_of("half") is None


def test_an_endpoint_is_added_tested_and_deleted(rooms: Rooms, asked: OpenAIStub, tmp_path: Path) -> None:
    service = service_of(rooms, tmp_path)
    new = NewEndpoint(name="stub", url=asked.url, model="m", key_secret="STUB_KEY")
    with pytest.raises(NotFound, match="STUB_KEY"):
        rooms.run(service.add_endpoint(new))
    Secrets(tmp_path / "secrets").set("STUB_KEY", f"{asked.key}\n")
    rooms.run(service.add_endpoint(new))
    with pytest.raises(Conflict):
        rooms.run(service.add_endpoint(new))
    first = rooms.run(service.test_endpoint("stub", TestEndpoint()))
    assert (first.state, first.differences) == ("answers", []) and first.probe is not None
    assert (first.probe.model, first.probe.fingerprint, len(first.probe.answers)) == ("stub-1", "fp_1", 5)
    assert rooms.run(service.endpoint("stub")).key == asked.key
    again = rooms.run(service_of(rooms, tmp_path).list_endpoints())
    assert [(each.name, each.test.state) for each in again.endpoints] == [("stub", "answers")]
    assert asked.key not in (tmp_path / "endpoints.json").read_text() + str(again)
    assert ("endpoint", "stub") in rooms.events_seen
    rooms.run(service.delete_endpoint("stub"))
    assert rooms.run(service.list_endpoints()).endpoints == []
    for url in ("ftp://x", "http://me:key@host/v1", "http://host/v1/chat/completions", "host"):
        with pytest.raises(InvalidRequest):
            rooms.run(service.add_endpoint(msgspec.structs.replace(new, url=url)))


def test_a_model_that_changes_behind_its_name_is_said(
    rooms: Rooms, asked: OpenAIStub, tmp_path: Path
) -> None:
    given = NewEndpoint(name="house", url=asked.url, model="m", key_secret="STUB_KEY")
    service = service_of(rooms, tmp_path, (given,))
    Secrets(tmp_path / "secrets").set("STUB_KEY", asked.key)

    def tested(**faults: Any) -> Any:
        asked.reset(**faults)
        return rooms.run(service.test_endpoint("house", TestEndpoint(accept=faults.pop("accept", False))))

    assert tested().state == "answers"
    # Another name; only other answers; one other answer alone, as many servers give at temperature 0.
    named = tested(model="stub-2")
    assert named.state == "changed" and "stub-2; it was stub-1" in named.differences[0]
    quiet = tested(answers={"": "Blue."})
    assert quiet.state == "changed" and len(quiet.differences) == 5 and "Blue." in quiet.differences[0]
    one = tested(answers={"17": "392"})
    assert one.state == "answers" and len(one.differences) == 1
    assert tested(key="revoked").state == "key_refused"
    assert tested(away_until=time.time() + 60).state == "away"
    reasoning = tested(refuses=["temperature", "max_tokens"], reasoning_tokens=20)
    assert reasoning.state == "answers" and reasoning.probe.without == ["temperature", "max_tokens"]
    assert "max_tokens" not in asked.requests()[-1] and asked.requests()[-1]["max_completion_tokens"] > 64
    asked.reset(model="stub-2")
    assert rooms.run(service.test_endpoint("house", TestEndpoint(accept=True))).state == "answers"
    assert tested(model="stub-2").differences == []
    with pytest.raises(NotAllowed):
        rooms.run(service.delete_endpoint("house"))


def test_endpoints_of_mlflows_gateway_are_listed_and_asked(
    rooms: Rooms, asked: OpenAIStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's own objects: a secret, a model definition and an endpoint, made as MLflow's UI makes them."""
    import mlflow.tracking._tracking_service.utils as mlflow_utils
    from mlflow.entities.gateway_endpoint import GatewayEndpointModelConfig, GatewayModelLinkageType

    from genops_lab.genai.endpoints.backends.gateway import MlflowGateway

    monkeypatch.setenv("MLFLOW_GATEWAY_API_BASE_ALLOW_PRIVATE_IPS", "true")  # the stub is on this machine
    # The list waits a few seconds alone, and two processes must not make the new database at once.
    assert rooms.run(rooms.mlflow.call(MlflowGateway.list_endpoints)) == []
    service = service_of(rooms, tmp_path)
    assert rooms.run(service.list_endpoints()).endpoints == []
    store = mlflow_utils._get_store(rooms.mlflow.uri)  # type: ignore[no-untyped-call]
    secret = store.create_gateway_secret(
        secret_name="s", secret_value={"api_key": asked.key}, provider="openai", auth_config={"api_base": asked.url}
    )  # fmt: skip
    model = store.create_gateway_model_definition(
        name="m", secret_id=secret.secret_id, provider="openai", model_name="m"
    )
    store.create_gateway_endpoint(
        name="judge",
        model_configs=[
            GatewayEndpointModelConfig(
                model_definition_id=model.model_definition_id,
                linkage_type=GatewayModelLinkageType.PRIMARY,
                weight=1.0,
            )
        ],
    )
    found = rooms.run(service.list_endpoints())
    assert found.notes == []
    assert [(each.name, each.kind, each.model) for each in found.endpoints] == [
        ("gateway:judge", "gateway", "judge")
    ]
    assert "openai/m" in found.endpoints[0].url
    tested = rooms.run(service.test_endpoint("gateway:judge", TestEndpoint()))
    assert tested.state == "answers", tested.message
    assert tested.probe is not None and tested.probe.model == "stub-1"


def test_a_provider_is_asked_through_litellm(rooms: Rooms, asked: OpenAIStub, tmp_path: Path) -> None:
    """LiteLLM's provider ``openai/`` at the stub: the same answers, tokens and kinds of failures."""
    service = service_of(rooms, tmp_path)
    Secrets(tmp_path / "secrets").set("STUB_KEY", asked.key)
    new = NewEndpoint(name="lite", url=asked.url, model="openai/m", litellm=True, key_secret="STUB_KEY")
    if find_spec("litellm") is None:
        with pytest.raises(Failed, match="LiteLLM is not installed") as caught:
            rooms.run(service.add_endpoint(new))
        assert "pip install 'genops-lab[litellm]'" in caught.value.hint
        pytest.skip("LiteLLM is an extra: pip install 'genops-lab[litellm]'")
    with pytest.raises(InvalidRequest, match="names no provider"):
        rooms.run(service.add_endpoint(msgspec.structs.replace(new, model="m")))
    rooms.run(service.add_endpoint(new))
    tested = rooms.run(service.test_endpoint("lite", TestEndpoint()))
    assert (tested.state, tested.probe and tested.probe.usage_known) == ("answers", True), tested.message
    endpoint = rooms.run(service.endpoint("lite"))

    async def calls() -> list[Any]:
        found: list[Any] = []
        async with Connection(msgspec.structs.replace(endpoint, timeout_s=2.0)) as connection:
            for faults in (
                {},
                {"key": "other"},
                {"error_share": 1.0},
                {"storm_until": 1e12},
                {"hang_share": 1.0},
            ):
                asked.reset(**faults)
                try:
                    found.append(await connection.ask(HELLO, {"max_tokens": 20}))
                except CallFailed as failed:
                    found.append(failed)
                assert len(asked.requests()) == 1, "LiteLLM called again"
        return found

    answer, *failures = rooms.run(calls())
    assert (answer.text, answer.usage.known, answer.model) == (answer_to("Hello there"), True, "stub-1")
    assert [each.kind for each in failures] == ["key", "server", "rate", "timeout"], failures
    assert failures[2].after_s == 1.0 and asked.key not in str(failures)
