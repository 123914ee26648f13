"""A real language model (SmolLM2) is deployed, asked by the openai client, streamed, limited, updated and killed."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest
from genops_lab.deployments import llms, memory
from genops_lab.deployments.models import CheckDeploy, Deployment, LogQuery, NewCallerKey, NewDeployment
from genops_lab.deployments.policy import RolloutPolicy, RolloutStep
from tests.serving.callers import calling
from tests.support.rooms import Rooms, eventually
from tests.support.small_llm import small_llm

from .conftest import ask, changes_nothing, key_of, own_port, process_of

NAME = "chat"
SETTINGS = {"context": "512", "parallel": "2", "threads": "1"}
QUESTION = [{"role": "user", "content": "Count from one to twenty."}]


@pytest.fixture(scope="module")
def file() -> Path:
    return small_llm()


def checked(rooms: Rooms, **fields: Any) -> Any:
    return rooms.run(rooms.deployments.check_deploy(CheckDeploy(**fields)))


def deployed(rooms: Rooms, name: str, rollout: RolloutPolicy | None = None, **fields: Any) -> Deployment:
    """Deploy what a person has confirmed."""
    trust = checked(rooms, **fields).digest
    rooms.run(rooms.deployments.deploy(NewDeployment(name=name, trust=trust, rollout=rollout, **fields)))
    return rooms.settled(name)


@pytest.fixture(scope="module")
def chat(rooms: Rooms, file: Path) -> Iterator[Deployment]:
    found = deployed(rooms, NAME, path=str(file), settings=SETTINGS)
    assert found.state == "running", (found, log_of(rooms, NAME))
    assert f"path: {file}" in changes_nothing(rooms, NAME)
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


def test_the_openai_client_gets_whole_and_streamed_answers(rooms: Rooms, chat: Deployment) -> None:
    assert chat.serving is not None and chat.serving.settings["context"] == "512"
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
    shaped = asked.chat.completions.create(
        model=NAME, messages=QUESTION, max_tokens=40, temperature=0, response_format=form
    )
    assert isinstance(json.loads(shaped.choices[0].message.content)["n"], int)
    shown = eventually(
        lambda: now(rooms), lambda found: found.requests >= 4 and bool(_tokens(found).first_token_ms)
    )
    assert _tokens(shown).completion_tokens >= 48 and _tokens(shown).tokens_per_s, shown
    assert shown.errors == 0 and shown.latency_ms


def _tokens(found: Deployment) -> Any:
    assert found.serving is not None
    return found.serving.tokens


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
    rooms: Rooms, chat: Deployment, file: Path
) -> None:
    again = deployed(rooms, NAME, path=str(file), settings=SETTINGS)
    assert (again.revision, again.updating_to) == (1, 0), "the same thing runs already"
    steps = [RolloutStep(traffic=50, requests=5)]
    policy = RolloutPolicy(steps=steps, failures=0.3, latency=None, warm_up="0s")
    address = urlsplit(chat.url)
    body = json.dumps({"messages": QUESTION, "max_tokens": 1}).encode()
    path = f"{address.path}/v1/chat/completions"
    with calling(address.port or 0, path, key_of(rooms, NAME), body, 2) as callers:
        deployed(rooms, NAME, path=str(file), settings={**SETTINGS, "context": "256"}, rollout=policy)
        found = eventually(lambda: now(rooms), lambda seen: not seen.updating_to, 120)
    assert found.rollout is not None and found.rollout.state == "promoted" and callers.failed == []
    assert found.revision == 2 and found.serving is not None and found.serving.settings["context"] == "256"
    assert found.url == chat.url


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
