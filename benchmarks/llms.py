"""A language model behind the gateway and asked directly: tokens per second, and the time to the first token.

SmolLM2-135M with llama.cpp and one thread. Each answer is a stream of the same tokens, in turn by both ways.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from genops_lab.serving.engines import serve
from tests.serving.conftest import KEY as CALLERS_KEY
from tests.serving.conftest import GatewayProcess, sha
from tests.support.small_llm import small_llm

from .figure import Figure

ROUNDS, TOKENS = 15, 64
_BODY = {
    "messages": [{"role": "user", "content": "Tell a long story about a bridge."}],
    "max_tokens": TOKENS, "temperature": 0, "stream": True, "ignore_eos": True,
}  # fmt: skip


def figures() -> Iterator[Figure]:
    """Yield tokens per second and the time to the first token, beside those of direct requests."""
    with tempfile.TemporaryDirectory(prefix="gol-llms-") as scratch:
        yield from _figures(Path(scratch))


def _figures(scratch: Path) -> Iterator[Figure]:
    file = small_llm()
    (scratch / "key").write_text("engine-key")
    folder = scratch / "gateway"
    folder.mkdir()
    gateway = GatewayProcess(folder)
    serving = {
        "engine": "llama.cpp",
        "file": file.name,
        "settings": {"context": 512, "parallel": 1, "threads": 1},
    }
    engine = serve.Engine(
        {
            "serving": serving, "name": "m", "folder": str(scratch), "model": str(file.parent),
            "key_file": str(scratch / "key"),
        }
    )  # fmt: skip
    try:
        while not engine.is_ready():
            time.sleep(0.1)
        revision = {"id": 1, "number": 1, "port": engine.port, "key": "engine-key", "weight": 100}
        keys = [{"name": "default", "sha256": sha(CALLERS_KEY)}]
        gateway.say(
            {"op": "set", "route": {"name": "m", "generation": 1, "revisions": [revision], "keys": keys}}
        )
        ways = [(gateway.port, "/m", CALLERS_KEY), (engine.port, "", "engine-key")]
        for way in ways:
            _streamed(*way)
        found = [[_streamed(*way) for way in ways] for _ in range(ROUNDS)]
    finally:
        engine.stop()
        gateway.end()
    for at, (name, unit) in enumerate((("first token", "ms"), ("tokens a second", "tokens/s"))):
        yield Figure(
            name=f"language model {name}", unit=unit, values=[each[0][at] for each in found],
            baseline="the engine without a gateway", baseline_values=[each[1][at] for each in found],
            notes={"tokens": TOKENS, "rounds": ROUNDS},
        )  # fmt: skip


def _streamed(port: int, path: str, key: str) -> tuple[float, float]:
    """Return ms to the first token, and tokens a second from there to the last."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", f"{path}/v1/chat/completions", json.dumps(_BODY), headers)
    times = []
    with connection.getresponse() as answer:
        assert answer.status == 200, answer.read()
        for line in answer:
            if line.startswith(b"data: {") and json.loads(line[6:])["choices"][0]["delta"].get("content"):
                times.append(time.perf_counter())
    connection.close()
    return (times[0] - began) * 1000, (len(times) - 1) / (times[-1] - times[0])
