"""A real language model (SmolLM2) is deployed, asked by the openai client, streamed, limited, updated and killed."""

from __future__ import annotations

import dataclasses
import json
import math
import struct
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest
from genops_lab.deployments import llms, memory
from genops_lab.deployments.batches.models import NewBatch
from genops_lab.deployments.batches.service import BatchesService
from genops_lab.deployments.description.models import PlanDescription
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.environments import Environments
from genops_lab.deployments.models import (
    CheckDeploy,
    Deployment,
    LogQuery,
    NewCallerKey,
    NewDeployment,
    RollBack,
)
from genops_lab.deployments.policy import RolloutPolicy, RolloutStep
from genops_lab.deployments.targets.local import LocalTarget
from genops_lab.experiments.columns.models import RunTableQuery
from genops_lab.genai.endpoints.endpoint import Connection
from genops_lab.genai.endpoints.service import EndpointsService
from genops_lab.genai.traces.deployments import DeploymentTracesService
from genops_lab.genai.traces.models import ContentQuery, NewDeploymentTraces
from genops_lab.genai.traces.service import TracesService
from genops_lab.registry.service import RegistryService
from tests.registry.hostile_bytes import gguf, tensor, text
from tests.registry.hostile_bytes import tensors as tensors_of
from tests.serving.callers import calling
from tests.support.rooms import Rooms, eventually
from tests.support.small_llm import small_llm

from .conftest import ask, changes_nothing, files_of, key_of, own_port, process_of

NAME = "chat"
SETTINGS = {"context": "512", "parallel": "2", "threads": "1"}
QUESTION = [{"role": "user", "content": "Count from one to twenty."}]


@pytest.fixture(scope="module")
def file() -> Path:
    return small_llm()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings with a chat template. SmolLM2's own knows no tools; this one names them, with an example of a call."""
    template = tmp_path_factory.mktemp("template") / "tools.jinja"
    template.write_bytes(Path(__file__).with_name("tools.jinja").read_bytes())
    return {**SETTINGS, "chat_template": str(template)}


def checked(rooms: Rooms, **fields: Any) -> Any:
    return rooms.run(rooms.deployments.check_deploy(CheckDeploy(**fields)))


def deployed(rooms: Rooms, name: str, rollout: RolloutPolicy | None = None, **fields: Any) -> Deployment:
    """Deploy what a person has confirmed."""
    trust = checked(rooms, **fields).digest
    rooms.run(rooms.deployments.deploy(NewDeployment(name=name, trust=trust, rollout=rollout, **fields)))
    return rooms.settled(name)


@pytest.fixture(scope="module")
def chat(rooms: Rooms, file: Path, settings: dict[str, str]) -> Iterator[Deployment]:
    found = deployed(rooms, NAME, path=str(file), settings=settings)
    assert found.state == "running", (found, log_of(rooms, NAME))
    text = changes_nothing(rooms, NAME)
    assert f"path: {file}" in text and f"chat_template: {settings['chat_template']}" in text
    yield found
    rooms.run(rooms.deployments.stop_deployment(NAME))
    rooms.run(rooms.deployments.delete_deployment(NAME))


def log_of(rooms: Rooms, name: str) -> list[str]:
    return rooms.run(rooms.deployments.get_deployment_log(name, LogQuery())).lines


def now(rooms: Rooms, name: str = NAME) -> Deployment:
    return rooms.run(rooms.deployments.get_deployment(name))


def client(rooms: Rooms, chat: Deployment, key: str = "") -> Any:
    openai = pytest.importorskip("openai")
    return openai.OpenAI(
        base_url=chat.url + "/v1", api_key=key or key_of(rooms, NAME), max_retries=0, timeout=60
    )


def test_the_question_names_the_files_and_the_memory(rooms: Rooms, file: Path) -> None:
    found = checked(rooms, path=str(file), settings=SETTINGS)
    assert (found.trusted, found.verdict, found.loader, found.engine) == (False, "data", "GGUF", "llama.cpp")
    assert [each.path for each in found.files] == [file.name] and found.digest.startswith("sha256:")
    assert found.memory.startswith(
        "It needs weights 98 MB + KV cache 24 MB for 2 x 512 tokens + engine 250 MB; "
    )
    with pytest.raises(Conflict) as caught:
        rooms.run(rooms.deployments.deploy(NewDeployment(path=str(file), name="untrusted")))
    assert caught.value.code == "confirmation_needed" and found.digest in caught.value.hint


def test_the_openai_client_gets_whole_and_streamed_answers(
    rooms: Rooms, chat: Deployment, tmp_path: Path
) -> None:
    assert chat.serving is not None and chat.serving.settings["context"] == "512"
    assert chat.serving.settings["chat_template"].startswith("tools.jinja@")
    asked = client(rooms, chat)
    whole = asked.chat.completions.create(model=NAME, messages=QUESTION, max_tokens=24, temperature=0)
    text = whole.choices[0].message.content
    assert text and whole.usage.completion_tokens == 24
    parts = list(
        asked.chat.completions.create(
            model=NAME, messages=QUESTION, max_tokens=24, temperature=0, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    streamed = "".join(each.choices[0].delta.content or "" for each in parts if each.choices)
    assert streamed == text and parts[-1].usage.completion_tokens == 24
    assert [each.id for each in asked.models.list()] == [NAME]
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    given: dict[str, Any] = {"model": NAME, "messages": QUESTION, "max_tokens": 40, "temperature": 0}
    shaped = asked.chat.completions.create(**given, response_format=form)
    assert isinstance(json.loads(shaped.choices[0].message.content)["n"], int)
    parts = asked.chat.completions.create(**given, response_format=form, stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in parts) == shaped.choices[0].message.content
    answer = asked.responses.create(model=NAME, input="Count to five.", max_output_tokens=8, temperature=0)
    assert answer.output_text and answer.usage.output_tokens == 8
    # A Lab that did not start it sees it running, too.
    target = LocalTarget(rooms.settings.data_dir / "deployments", Environments(tmp_path))
    (seen,) = rooms.run(target.observe(NAME)).revisions
    assert (seen.state, seen.reason) == ("running", "")
    shown = eventually(
        lambda: now(rooms), lambda found: found.requests >= 5 and bool(_tokens(found).first_token_ms)
    )
    assert _tokens(shown).completion_tokens >= 48 and _tokens(shown).tokens_per_s, shown
    assert shown.errors == 0 and shown.latency_ms


def test_its_requests_become_traces_and_it_is_an_endpoint(rooms: Rooms, chat: Deployment) -> None:
    """The sample is all requests; secrets are taken out; the gateway's second delivery makes no second trace."""
    settings = dataclasses.replace(rooms.settings, redact_traces="secrets")
    traced = DeploymentTracesService(settings, rooms.deployments, rooms.store, rooms.mlflow, rooms.events)
    assert not rooms.run(traced.get_deployment_traces(NAME)).on
    rooms.run(traced.set_deployment_traces(NAME, NewDeploymentTraces(experiment="asked")))
    assert "  experiment: asked" in changes_nothing(rooms, NAME)

    endpoints = EndpointsService(rooms.settings, rooms.deployments, rooms.mlflow, rooms.events, rooms.live)
    (listed,) = rooms.run(endpoints.list_endpoints()).endpoints
    assert (listed.name, listed.kind, listed.model) == (f"deployment:{NAME}", "deployment", NAME)

    async def ask_endpoint() -> str:
        async with Connection(await endpoints.endpoint(listed.name)) as connection:
            return (await connection.ask(QUESTION, {"max_tokens": 8, "temperature": 0})).text

    said = rooms.run(ask_endpoint())
    secret = "ghp_" + "a1B2" * 9
    list(
        client(rooms, chat).chat.completions.create(
            model=NAME, messages=[{"role": "user", "content": f"Keep {secret}"}], max_tokens=8, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    rooms.run(traced.collect())
    shown = rooms.run(traced.get_deployment_traces(NAME))
    assert (shown.kept, shown.lost, shown.problem) == (2, 0, "")
    again = DeploymentTracesService(settings, rooms.deployments, rooms.store, rooms.mlflow, rooms.events)
    rooms.run(again.collect())
    service = TracesService(rooms.mlflow, rooms.events, rooms.live, rooms.settings)
    asked = RunTableQuery(query=f"tags.deployment = '{NAME}'", lifecycle="all", wait_s=30)
    ids = rooms.run(service.query_traces(asked)).run_ids
    streamed, whole = [rooms.run(service.get_trace_content(each)) for each in ids]
    assert (whole.experiment, whole.user, whole.status) == ("asked", "default", "OK")
    (span,) = whole.spans
    assert (span.kind, span.provider, span.tokens and span.tokens.output) == ("CHAT_MODEL", "genops", 8)
    assert whole.duration is not None and 0 < whole.duration < 60
    content = rooms.run(service.get_span_content(whole.trace_id, span.span_id, ContentQuery()))
    assert content.inputs is not None and content.outputs is not None
    assert said in content.outputs.text and "Count from one to twenty." in content.inputs.text
    assert [turn.role for turn in content.turns] == ["user", "assistant"]
    assert streamed.spans[0].tokens is not None and streamed.spans[0].tokens.output == 8
    content = rooms.run(
        service.get_span_content(streamed.trace_id, streamed.spans[0].span_id, ContentQuery())
    )
    assert secret not in str(content) and "[github token 1]" in str(content.inputs)
    rooms.run(traced.delete_deployment_traces(NAME))
    assert "traces:" not in changes_nothing(rooms, NAME)


def test_a_model_calls_a_tool(rooms: Rooms, chat: Deployment, file: Path, settings: dict[str, str]) -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": city}}
    given: dict[str, Any] = {
        "model": NAME, "messages": [{"role": "user", "content": "What is the weather in Paris?"}], "tools": [tool],
        "tool_choice": "required", "max_tokens": 64, "temperature": 0,
    }  # fmt: skip
    asked = client(rooms, chat)
    choice = asked.chat.completions.create(**given).choices[0]
    (call,) = choice.message.tool_calls
    assert (call.function.name, choice.finish_reason) == ("weather", "tool_calls")
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    deltas = [each.choices[0].delta for each in asked.chat.completions.create(**given, stream=True)]
    functions = [call.function for each in deltas for call in each.tool_calls or []]
    assert [each.name for each in functions if each.name] == ["weather"]
    assert json.loads("".join(each.arguments or "" for each in functions)) == {"city": "Paris"}
    assert len(functions) > 3, "the arguments are streamed"
    for path, problem in (("none.jinja", "cannot be read"), (str(file), "no template")):
        error = refused(rooms, path=str(file), settings={"chat_template": path})
        assert error.message.startswith("chat_template is ") and problem in error.message
    text, template = changes_nothing(rooms, NAME), Path(settings["chat_template"])
    template.write_bytes(template.read_bytes() + b"\n")
    plan = rooms.run(files_of(rooms).plan_description(PlanDescription(text=text)))
    assert plan.new_revision and [each.what for each in plan.changes] == ["content of the chat template"]
    template.write_bytes(template.read_bytes()[:-1])


def _tokens(found: Deployment) -> Any:
    assert found.serving is not None
    return found.serving.tokens


def test_prompts_of_a_file_are_answered(rooms: Rooms, chat: Deployment, tmp_path: Path) -> None:
    """The second prompt is longer than the context."""
    import pyarrow.parquet as pq

    async def service() -> BatchesService:
        return BatchesService(rooms.settings, rooms.mlflow, rooms.deployments, rooms.work)

    data, out = tmp_path / "prompts.jsonl", tmp_path / "answers.parquet"
    rows = [{"prompt": "Name a colour."}, {"prompt": "word " * 2000}]
    data.write_text("\n".join(map(json.dumps, rows)))
    body = NewBatch(data=str(data), out=str(out), settings={"temperature": 0, "max_tokens": 8})
    begun = rooms.run(rooms.run(service()).score_deployment(NAME, body))
    task = rooms.run(rooms.tasks.wait(begun.task.id))
    assert task.state == "done", task
    answered, long = pq.read_table(out).to_pylist()
    assert answered["answer"] and answered["completion_tokens"] <= 8 and answered["error"] is None
    assert long["answer"] is None and "400" in long["error"] and "context" in long["error"], long


def test_neither_the_gateway_nor_the_engine_answers_without_a_key(rooms: Rooms, chat: Deployment) -> None:
    body: dict[str, Any] = {"messages": QUESTION, "max_tokens": 1}
    for url in (chat.url, f"http://127.0.0.1:{own_port(rooms, NAME)}"):
        for key in ("", "wrong"):
            assert status_of(url, "/v1/chat/completions", key, body) == 401
    listening = [
        each.laddr for each in psutil.net_connections("tcp") if each.laddr.port == own_port(rooms, NAME)
    ]
    assert {each.ip for each in listening} == {"127.0.0.1"}
    engine = process_of(rooms, NAME).children()[0]
    key = (Path(engine.cwd()) / "key").read_text().strip()
    assert key not in " ".join(engine.cmdline()) and key not in "".join(log_of(rooms, NAME))


def status_of(url: str, path: str, key: str, body: dict[str, Any]) -> int:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_generation_stops_when_the_caller_leaves(rooms: Rooms, chat: Deployment) -> None:
    asked = client(rooms, chat)
    stream = asked.chat.completions.create(
        model=NAME,
        messages=QUESTION,
        max_tokens=400,
        temperature=0,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    next(iter(stream))
    assert any(each["is_processing"] for each in slots(rooms))
    stream.close()
    eventually(lambda: slots(rooms), lambda found: not any(each["is_processing"] for each in found), 5)
    said = [line for line in log_of(rooms, NAME) if "cancel" in line.lower() or "stop processing" in line]
    assert said, "the engine says that it stopped"


def slots(rooms: Rooms) -> list[dict[str, Any]]:
    folder = Path(process_of(rooms, NAME).children()[0].cwd())
    status, found = ask(
        f"http://127.0.0.1:{own_port(rooms, NAME)}", (folder / "key").read_text(), path="/slots"
    )
    assert status == 200
    return list(found)


def test_a_key_has_a_limit_of_tokens(rooms: Rooms, chat: Deployment) -> None:
    made = rooms.run(rooms.deployments.add_caller_key(NAME, NewCallerKey(name="ci", tokens=40)))
    body: dict[str, Any] = {"messages": QUESTION, "max_tokens": 16, "stream": True}
    assert status_of(chat.url, "/v1/chat/completions", made.key, body) == 200
    openai = pytest.importorskip("openai")
    with pytest.raises(openai.RateLimitError) as caught:
        client(rooms, chat, made.key).chat.completions.create(model=NAME, messages=QUESTION)
    assert "may use 40 tokens a minute" in caught.value.response.text
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert [each.tokens for each in rooms.run(rooms.deployments.list_caller_keys(NAME))] == [40]
    root = chat.url.rpartition("/")[0]
    request = urllib.request.Request(root + "/metrics", headers={"Authorization": f"Bearer {made.key}"})
    text = urllib.request.urlopen(request, timeout=10).read().decode()
    assert 'genops_tokens_total{deployment="chat",revision="1",kind="completion"}' in text
    assert "genops_first_token_seconds_bucket" in text and "genops_between_tokens_seconds_count" in text


def test_other_settings_are_a_revision_that_a_canary_lets_in(
    rooms: Rooms, chat: Deployment, file: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tags: list[Any] = []
    monkeypatch.setattr(RegistryService, "set_version_tag", lambda *given: tags.append(given))
    again = deployed(rooms, NAME, path=str(file), settings=settings)
    assert (again.revision, again.updating_to) == (1, 0), "the same thing runs already"
    steps = [RolloutStep(traffic=50, requests=5)]
    policy = RolloutPolicy(steps=steps, failures=0.3, latency=None, warm_up="0s", watch="0s")
    address = urlsplit(chat.url)
    body = json.dumps({"messages": QUESTION, "max_tokens": 1}).encode()
    path = f"{address.path}/v1/chat/completions"
    with calling(address.port or 0, path, key_of(rooms, NAME), body, 2) as callers:
        deployed(rooms, NAME, path=str(file), settings={**settings, "context": "256"}, rollout=policy)
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
    assert found.rollout is not None and found.rollout.state == "promoted" and callers.failed == []
    assert found.revision == 2 and found.serving is not None and found.serving.settings["context"] == "256"
    assert found.url == chat.url
    assert not tags, "it is no version of the registry, which could keep the evidence"


def test_a_model_makes_embeddings(rooms: Rooms, file: Path) -> None:
    settings = {**SETTINGS, "parallel": "1", "embeddings": "true", "pooling": "mean"}
    found = deployed(rooms, "vectors", path=str(file), settings=settings)
    assert found.state == "running", (found, log_of(rooms, "vectors"))
    openai = pytest.importorskip("openai")
    asked = openai.OpenAI(
        base_url=found.url + "/v1", api_key=key_of(rooms, "vectors"), max_retries=0, timeout=60
    )
    texts = ["A cat sleeps.", "A kitten is asleep.", "Interest rates rose by a quarter."]
    made = asked.embeddings.create(model="vectors", input=texts, encoding_format="float")
    cat, kitten, rates = (each.embedding for each in made.data)
    assert len(cat) == 576
    assert cosine(cat, kitten) > cosine(cat, rates)
    deployed(rooms, "vectors", path=str(file), settings={**settings, "pooling": "rank"})
    eventually(lambda: now(rooms, "vectors"), lambda seen: seen.revision == 2 and not seen.updating_to, 60)
    # SmolLM2 has no head that was trained to rank: this shows the path and the form of the answer, not a good order.
    body = json.dumps({"query": "What sleeps?", "documents": texts}).encode()
    headers = {"Authorization": f"Bearer {key_of(rooms, 'vectors')}"}
    with urllib.request.urlopen(urllib.request.Request(found.url + "/v1/rerank", body, headers)) as answer:
        ranked = json.load(answer)["results"]
    scores = [each["relevance_score"] for each in ranked]
    assert sorted(each["index"] for each in ranked) == [0, 1, 2] and scores == sorted(scores, reverse=True)
    rooms.run(rooms.deployments.stop_deployment("vectors"))
    rooms.run(rooms.deployments.delete_deployment("vectors"))


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


def lora(architecture: bytes = b"llama") -> bytes:
    """A LoRA adapter of rank 1 for the attention of SmolLM2-135M, made by hand: it changes the answers, to no good."""
    layers, width, rank = 30, 576, 1
    number, text_kind = lambda kind: kind.to_bytes(4, "little"), 8
    entries = [
        text(name) + number(text_kind) + text(value)
        for name, value in (
            (b"general.type", b"adapter"), (b"general.architecture", architecture), (b"adapter.type", b"lora"),
        )
    ]  # fmt: skip
    entries.append(text(b"adapter.lora.alpha") + number(6) + struct.pack("<f", 4.0))
    tensors, size = [], -(-4 * width // 32) * 32
    for layer in range(layers):
        for part, shape in ((b"a", (width, rank)), (b"b", (rank, width))):
            name = b"blk.%d.attn_output.weight.lora_%b" % (layer, part)
            tensors.append(text(name) + struct.pack("<IQQIQ", 2, *shape, 0, len(tensors) * size))
    header = gguf(*entries, *tensors, tensors=len(tensors))
    values = struct.pack(f"<{width}f", *[0.2 if at % 3 else -0.3 for at in range(width)]).ljust(size, b"\0")
    return header.ljust(-(-len(header) // 32) * 32, b"\0") + values * len(tensors)


def test_an_adapter_is_a_revision_that_one_goes_back_from(rooms: Rooms, file: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"path": str(file), "settings": {**SETTINGS, "parallel": "1"}}
    tuned = tmp_path / "tuned.gguf"
    tuned.write_bytes(lora())
    base = deployed(rooms, "tuned", **given)
    before = said_by(rooms, base)
    deployed(rooms, "tuned", **given, adapter=str(tuned))
    found = eventually(lambda: now(rooms, "tuned"), lambda seen: not seen.updating_to, 60)
    assert found.revision == 2 and found.version.startswith(f"{base.version}+"), found.message
    assert found.serving is not None and found.serving.adapter.startswith("tuned@")
    assert said_by(rooms, found) != before
    assert read_description(changes_nothing(rooms, "tuned")).revision.adapter == str(tuned)
    back = rooms.run(rooms.deployments.roll_back_deployment("tuned", RollBack()))
    back = eventually(lambda: now(rooms, "tuned"), lambda seen: seen.revision == 1, 30)
    assert back.serving is not None and back.serving.adapter == "" and said_by(rooms, back) == before
    rooms.run(rooms.deployments.stop_deployment("tuned"))
    rooms.run(rooms.deployments.delete_deployment("tuned"))
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(tensors_of({"w": tensor(0, 32)}, 32))
    assert "llama.cpp does not read that" in checked_error(rooms, path=str(file), adapter=str(wrong)).message
    assert "Only a model of a file" in refused(rooms, command="true", adapter=str(tuned)).message


def test_a_model_sleeps_and_loses_no_request_when_it_wakes(rooms: Rooms, file: Path) -> None:
    given: dict[str, Any] = {
        "path": str(file),
        "settings": {**SETTINGS, "parallel": "1"},
        "name": "sleepy-llm",
    }
    trust = checked(rooms, **given).digest
    rooms.run(rooms.deployments.deploy(NewDeployment(**given, trust=trust, sleep_minutes=1 / 60)))
    rooms.settled("sleepy-llm")
    asleep = eventually(lambda: now(rooms, "sleepy-llm"), lambda seen: bool(seen.message), 60)
    assert asleep.state == "running" and asleep.message.startswith("It sleeps, because nobody used it.")
    with ThreadPoolExecutor(10) as callers:
        said = list(callers.map(lambda _at: said_by(rooms, asleep), range(10)))
    assert len(said) == 10 and all(said)
    rooms.run(rooms.deployments.stop_deployment("sleepy-llm"))
    rooms.run(rooms.deployments.delete_deployment("sleepy-llm"))
    error = refused(rooms, command="true", sleep_minutes=1.0)
    assert error.message == "A command does not sleep."


def said_by(rooms: Rooms, found: Deployment) -> str:
    openai = pytest.importorskip("openai")
    asked = openai.OpenAI(
        base_url=found.url + "/v1", api_key=key_of(rooms, found.name), max_retries=0, timeout=60
    )
    answer = asked.chat.completions.create(model=found.name, messages=QUESTION, max_tokens=12, temperature=0)
    return str(answer.choices[0].message.content)


def checked_error(rooms: Rooms, **fields: Any) -> GenOpsError:
    with pytest.raises(GenOpsError) as caught:
        checked(rooms, **fields)
    return caught.value


def test_an_engine_that_is_killed_breaks_the_stream_and_is_told(rooms: Rooms, chat: Deployment) -> None:
    openai = pytest.importorskip("openai")
    stream = client(rooms, chat).chat.completions.create(
        model=NAME,
        messages=QUESTION,
        max_tokens=200,
        temperature=0,
        stream=True,
        extra_body={"ignore_eos": True},
    )
    parts = iter(stream)
    next(parts)
    process_of(rooms, NAME).children()[0].kill()
    with pytest.raises((openai.APIError, OSError, _broken())):
        list(parts)
    found = eventually(lambda: now(rooms), lambda seen: bool(seen.message), 20)
    assert "The engine was killed by signal 9 while it served" in found.message, found
    assert "Revision 1 answers" in found.message and "rollback" in found.hint


def _broken() -> type[Exception]:
    """What the openai client lets through when an answer ends in its middle."""
    return pytest.importorskip("httpx").TransportError  # type: ignore[no-any-return]


def refused(rooms: Rooms, **fields: Any) -> GenOpsError:
    with pytest.raises(GenOpsError) as caught:
        rooms.run(rooms.deployments.deploy(NewDeployment(name="refused", **fields)))
    return caught.value


def test_files_that_are_no_model_are_refused(rooms: Rooms, file: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.gguf"
    plain.write_bytes(b"no model" * 100)
    error = refused(rooms, path=str(plain))
    assert error.code == "model_refused" and "plain.gguf: named .gguf and is no such file" in error.message
    short = tmp_path / "short.gguf"
    with file.open("rb") as source:
        short.write_bytes(source.read(40_000_000))
    error = refused(rooms, path=str(short))
    assert error.code == "model_refused" and "its tensors end behind the end of the file." in error.message
    (tmp_path / "pickle").mkdir()
    (tmp_path / "pickle" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "no GGUF or safetensors file" in refused(rooms, path=str(tmp_path / "pickle")).message
    assert "There is no file or folder" in refused(rooms, path=str(tmp_path / "none.gguf")).message


def test_a_model_larger_than_memory_is_refused_with_what_would_fit(
    rooms: Rooms, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust = checked(rooms, path=str(file)).digest
    monkeypatch.setattr(memory, "free_bytes", lambda: 400_000_000)
    error = refused(rooms, path=str(file), trust=trust, settings={"context": "8192"})
    assert error.code == "memory" and "KV cache 377 MB for 2 x 8,192 tokens" in error.message
    assert error.hint == "This fits: --set context=1024 --set parallel=2"
    monkeypatch.setattr(memory, "free_bytes", lambda: 200_000_000)
    assert "a smaller model" in refused(rooms, path=str(file), trust=trust).hint


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"contxt": "10"}, "no setting 'contxt'", "Did you mean context?"),
        ({"batch": "8"}, "'batch' does not apply to llama.cpp", "It applies to MLflow models"),
        ({"context": "many"}, "context is 'many'", "from 16 to"),
        ({"context": "9000"}, "trained for 8,192 tokens", "--set context=8192"),
        ({"tensor_parallel": "2"}, "does not apply to llama.cpp", "vllm and sglang"),
        ({"engine": "vllm"}, "vllm does not serve GGUF", "Leave engine out"),
    ],
)
def test_settings_are_checked(
    rooms: Rooms, file: Path, given: dict[str, str], message: str, hint: str
) -> None:
    error = refused(rooms, path=str(file), settings=given)
    assert isinstance(error, InvalidRequest) and message in error.message and hint in error.hint, error


def test_a_missing_engine_names_the_extra(rooms: Rooms, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llms.starting.importlib.util, "find_spec", lambda _name: None)
    error = refused(rooms, path=str(file))
    assert error.code == "missing_engine" and "pip install 'genops-lab[llm]'" in error.hint


def test_an_engine_that_cannot_load_the_model_says_why(rooms: Rooms, file: Path, tmp_path: Path) -> None:
    strange = tmp_path / "strange.gguf"
    content = bytearray(file.read_bytes())
    at = content.index(b"llama", content.index(b"general.architecture"))
    content[at : at + 5] = b"lambs"
    strange.write_bytes(content)
    found = deployed(rooms, "strange", path=str(strange))
    assert found.state == "failed", found
    assert "The engine ended with exit code 1 while it loaded the model." in found.message
    assert "lambs" in found.message or "failed" in found.message
    rooms.run(rooms.deployments.delete_deployment("strange"))
