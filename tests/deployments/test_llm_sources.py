"""Where a revision comes from (the hub, safetensors with a stand-in for vLLM, a command), and the bad days of each."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import Conflict, NotAllowed, NotFound, Unavailable
from genops_lab.deployments import memory
from genops_lab.deployments.description.reading import read_description
from genops_lab.deployments.fetched import FetchedService
from genops_lab.deployments.models import NOT_FETCHED, CheckDeploy, Deployment, TokenFigures
from genops_lab.deployments.records import Records
from genops_lab.deployments.targets.base import Machine
from genops_lab.deployments.targets.local import LocalTarget
from genops_lab.registry.models import ImportModel
from tests.registry.hostile_bytes import tensor, tensors
from tests.support import fake_vllm
from tests.support.hub import TOKEN, Hub, Repository
from tests.support.rooms import Rooms, eventually
from tests.support.small_llm import small_llm

from .conftest import apply, ask, changes_nothing, key_of, own_port
from .test_llms import checked, checked_error, deployed, log_of, now, refused

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64,
    "num_key_value_heads": 2, "max_position_embeddings": 2048,
}  # fmt: skip


def gone(rooms: Rooms, name: str) -> None:
    rooms.run(rooms.deployments.stop_deployment(name))
    rooms.run(rooms.deployments.delete_deployment(name))


def test_a_repository_of_the_hub_is_served(rooms: Rooms, far: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    content = small_llm().read_bytes()
    far.repositories["acme/small-GGUF"] = found = Repository(
        {
            "small.Q4_1.gguf": content,
            "small.Q8_0.gguf": content,
            "README.md": b"A card.",
            "run.py": b"import os",
        }
    )
    several = refused(rooms, model="hf:acme/small-GGUF@main")
    assert "There are 2 GGUF files: small.Q4_1.gguf, small.Q8_0.gguf." in several.message
    assert "--set quantization=" in several.hint
    none = refused(rooms, model="hf:acme/small-GGUF", settings={"quantization": "Q2_K"})
    assert "No GGUF file has the quantization Q2_K" in none.message
    given: dict[str, Any] = {"quantization": "Q4_1", "context": "256", "threads": "1"}
    with monkeypatch.context() as patch:
        patch.setattr(memory, "free_bytes", lambda: 300_000_000)
        large = checked_error(rooms, model="hf:acme/small-GGUF@main", settings=given)
    assert large.code == "memory" and "weights 98 MB + KV cache 12 MB for 2 x 256 tokens" in large.message
    first = checked_error(rooms, model="hf:acme/small-GGUF@main", settings=given)
    assert (first.code, first.details["bytes"]) == (NOT_FETCHED, len(content) + len(b"A card."))
    assert far.sent < 6_000_000, "the header was read, and not the weights"
    asked = msgspec.convert(first.details["fetch"], CheckDeploy)
    task = rooms.run(rooms.tasks.wait(rooms.run(fetched(rooms).fetch_model(asked)).id))
    assert task.state == "done" and 0 < (task.progress or 0) <= 1, task
    assert task.message == f"hf:acme/small-GGUF at {found.commit[:12]} was fetched: 98 MB."
    text = file_of(
        "from-hub", "model: hf:acme/small-GGUF@main", "quantization: Q4_1, context: 256, threads: 1"
    )
    running = applied(rooms, "from-hub", text)
    assert running.state == "running", (running, log_of(rooms, "from-hub"))
    assert (running.model, running.version) == ("hf:acme/small-GGUF", found.commit[:12])
    folder = rooms.settings.data_dir / "deployments" / "from-hub" / "revisions"
    (model,) = folder.glob("*/model")
    assert {each.name for each in model.iterdir()} == {"small.Q4_1.gguf", "README.md"}, (
        "no code, no other weights"
    )
    assert read_description(changes_nothing(rooms, "from-hub")).revision.model.endswith(f"@{found.commit}")
    # Another revision shares the file, also while the hub must not be asked.
    sent = far.sent
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    deployed(rooms, "from-hub", model="hf:acme/small-GGUF@main", settings={**given, "context": "512"})
    eventually(lambda: now(rooms, "from-hub"), lambda seen: not seen.updating_to and seen.revision == 2, 60)
    assert far.sent == sent
    assert len({each.stat().st_ino for each in folder.glob("*/model/small.Q4_1.gguf")}) == 1
    away = checked_error(rooms, model="hf:acme/small-GGUF@other")
    assert isinstance(away, Unavailable) and "HF_HUB_OFFLINE is set" in away.message
    kept = rooms.run(fetched(rooms).list_fetched_models())
    assert [(each.model, each.used_by) for each in kept.models] == [("hf:acme/small-GGUF", ["from-hub"])]
    assert len(content) < kept.size_bytes < len(content) + 100
    assert rooms.run(fetched(rooms).delete_unused_models()).freed_bytes == 0
    gone(rooms, "from-hub")
    assert rooms.run(fetched(rooms).delete_unused_models()).freed_bytes == kept.size_bytes


def fetched(rooms: Rooms) -> FetchedService:
    root = rooms.settings.data_dir / "deployments"
    return FetchedService(root, Records(rooms.store), rooms.tasks, rooms.deployments)


def test_a_repository_that_cannot_be_had_says_why(
    rooms: Rooms, far: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tensors({"w": tensor(0, 32)}, 32)
    far.repositories["acme/gated"] = Repository({"w.safetensors": weights}, gated=True)
    gated = refused(rooms, model="hf:acme/gated")
    assert isinstance(gated, NotAllowed) and "--secret HF_TOKEN" in gated.hint
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    assert checked_error(rooms, model="hf:acme/gated", secret="OUR_TOKEN").code == "missing_engine"
    assert isinstance(refused(rooms, model="hf:acme/none"), NotFound)
    far.repositories["acme/pickles"] = Repository({"pytorch_model.bin": b"\x80\x04.", "config.json": b"{}"})
    assert "no GGUF or safetensors file" in refused(rooms, model="hf:acme/pickles").message
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    away = refused(rooms, model="hf:acme/gated")
    assert isinstance(away, Unavailable) and "HF_ENDPOINT" in away.hint


def test_a_full_disk_is_told_before_the_copy(
    rooms: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(tensors({"w": tensor(0, 32)}, 32))
    # A disk without room cannot be had without root; the message is that of `check_room`.
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    assert "has 1 byte left" in refused(rooms, path=str(file)).message


def file_of(name: str, source: str, settings: str = "") -> str:
    head = f"apiVersion: genops/v1\nkind: Deployment\nname: {name}\nrevisions:\n  - {source}\n"
    return head + (f"    settings: {{{settings}}}\n" if settings else "")


def applied(rooms: Rooms, name: str, text: str, folder: str = "") -> Deployment:
    """Apply a file with the digest that its refusal names."""
    with pytest.raises(Conflict) as caught:
        apply(rooms, text, folder=folder)
    assert caught.value.code == "confirmation_needed"
    trust = caught.value.hint.partition("Then write into the file: ")[2]
    apply(rooms, f"{text}{trust}\n", folder=folder)
    return rooms.settled(name)


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a model in safetensors, and the stand-in on the path."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake_vllm.__file__}" "$@"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    model = tmp_path / "tiny"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(CONFIG))
    (model / "model.safetensors").write_bytes(tensors({"w": tensor(0, 32)}, 32))
    (model / "tokenizer.json").write_text("{}")
    return model


def test_a_stand_in_for_vllm_gets_its_options_and_passes_all_through(
    rooms: Rooms, vllm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = pytest.importorskip("openai")
    given = {
        "context": "1024", "parallel": "8", "tensor_parallel": "2", "dtype": "bfloat16", "tool_parser": "hermes",
        "gpu_memory": "0.8", "max_tokens": "64",
    }  # fmt: skip
    with monkeypatch.context() as patch:  # as on a machine with one GPU
        one = Machine(name="this machine", free_bytes=10**11, gpus=(20_000_000_000,))
        patch.setattr(LocalTarget, "machine", lambda _self, _name: asyncio.sleep(0, one))
        few = refused(rooms, path=str(vllm), settings=given, trust=checked(rooms, path=str(vllm)).digest)
    assert few.code == "memory" and "It needs 2 GPUs for weights" in few.message, few.message
    assert few.message.endswith("the machine has 1 GPU with 20.0 GB free.")
    assert few.hint.startswith("This fits: --set tensor_parallel=1."), few.hint
    adapter = vllm.with_name("adapter")
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 20}')
    (adapter / "adapter_model.safetensors").write_bytes(tensors({"w": tensor(0, 32)}, 32))
    found = deployed(rooms, "fast", path=str(vllm), adapter=str(adapter), settings=given)
    assert found.state == "running", (found, log_of(rooms, "fast"))
    assert found.serving is not None and found.serving.engine == "vllm"
    status, told = ask(found.url, key_of(rooms, "fast"), path="/v1/models")
    assert status == 200
    line = " ".join(told["arguments"])
    for option in (
        "--max-model-len 1024", "--max-num-seqs 8", "--tensor-parallel-size 2", "--dtype bfloat16",
        "--enable-auto-tool-choice --tool-call-parser hermes", "--gpu-memory-utilization 0.8",
        '--override-generation-config {"max_new_tokens": 64}', "--served-model-name fast-base", "--host 127.0.0.1",
    ):  # fmt: skip
        assert option in line, line
    assert "--enable-lora --lora-modules fast=/" in line and "/model/adapter --max-lora-rank 32" in line
    assert "api-key" not in line, "the key is in the environment"
    assert ask(f"http://127.0.0.1:{own_port(rooms, 'fast')}", "wrong", path="/v1/models")[0] == 401
    client = openai.OpenAI(base_url=found.url + "/v1", api_key=key_of(rooms, "fast"), max_retries=0)
    question = [{"role": "user", "content": "Hello"}]
    stream = client.chat.completions.create(model="fast", messages=question, stream=True)
    assert [each.choices[0].delta.content for each in stream] == ["", *fake_vllm.WORDS]
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    answer = client.chat.completions.create(model="fast", messages=question, tools=[tool])
    assert answer.choices[0].message.tool_calls[0].function.name == "weather"
    assert answer.choices[0].message.reasoning_content == "A tool knows it."
    headers = {"Authorization": f"Bearer {key_of(rooms, 'fast')}"}
    ranked = urllib.request.Request(
        found.url + "/v1/rerank", b'{"query": "q", "documents": ["a", "b"]}', headers
    )
    assert json.load(urllib.request.urlopen(ranked, timeout=10))["results"][0]["index"] == 1
    shown = eventually(lambda: figures(rooms), lambda seen: seen.completion_tokens >= 8 and seen.kv_use, 15)
    assert (shown.kv_use, shown.waiting, shown.completion_tokens) == (0.25, 3.0, 8) and shown.first_token_ms
    gone(rooms, "fast")


def figures(rooms: Rooms) -> Any:
    found = now(rooms, "fast")
    assert found.serving is not None
    return found.serving.tokens or TokenFigures()


SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = repr(sorted(os.environ)).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
assert all(each == os.environ["PORT"] for each in sys.argv[1:]), sys.argv
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


def command(tmp_path: Path) -> str:
    (tmp_path / "server.py").write_text(SERVER)
    return f"{sys.executable} {tmp_path / 'server.py'}"


def test_a_command_with_a_port_is_behind_the_gateway(
    rooms: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "s3cret")
    text = file_of("own", f"command: {command(tmp_path)} $PORT ${{PORT}} {{port}}\n    health: /ready")
    apply(rooms, text)
    found = rooms.settled("own")
    assert found.state == "running", (found, log_of(rooms, "own"))
    assert found.serving is not None and found.serving.engine == "command"
    headers = {"Authorization": f"Bearer {key_of(rooms, 'own')}"}
    text = urllib.request.urlopen(
        urllib.request.Request(found.url + "/any", headers=headers), timeout=10
    ).read()
    assert b"GENOPS_DEPLOYMENT_KEY" in text and b"OUR_SECRET" not in text
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(found.url + "/any", timeout=10)
    assert changes_nothing(rooms, "own").count("/ready") == 1
    eventually(lambda: now(rooms, "own").requests, lambda count: count >= 1, 15)
    gone(rooms, "own")


def test_a_command_that_cannot_run_says_why(rooms: Rooms, tmp_path: Path) -> None:
    assert isinstance(refused(rooms, command="no-such-program-here"), NotFound)
    assert "Name one thing" in refused(rooms, command="true", path="x").message
    found = deployed(rooms, "ends", command="sh -c 'echo no model there; exit 3'")
    assert found.message == (
        "The command ended with exit code 3 before it answered. Its log says: no model there"
    ), found
    rooms.run(rooms.deployments.delete_deployment("ends"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = deployed(rooms, "taken", command=command(tmp_path), port=port)
        assert found.state == "failed" and found.message == f"Another program uses port {port}."
        assert "$PORT" in found.hint
    rooms.run(rooms.deployments.delete_deployment("taken"))


def test_where_signatures_are_required_only_versions_are_served(
    rooms: Rooms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms.deployments._checker, "_signature_required", True)
    error = refused(rooms, command=command(tmp_path))
    assert isinstance(error, Conflict) and "only models that a trusted key signed" in error.message


def test_a_registered_version_with_a_gguf_file_is_served(rooms: Rooms) -> None:
    task = rooms.run(rooms.imports.import_model("small-llm", ImportModel(source=str(small_llm()))))
    eventually(lambda: rooms.run(rooms.tasks.get_task(task.id)).state, lambda state: state != "running", 120)
    found = deployed(rooms, "registered", model="small-llm", settings={"context": "256", "threads": "1"})
    assert found.state == "running", (found, log_of(rooms, "registered"))
    assert (found.model, found.version) == ("small-llm", "1")
    assert found.serving is not None and found.serving.engine == "llama.cpp"
    gone(rooms, "registered")
