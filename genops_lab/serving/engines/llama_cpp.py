"""Serve a GGUF file with llama.cpp on loopback: the child of ``serve.py``. Its file with the key is removed."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def parameters(config: dict[str, Any]) -> Any:
    """Return the parameters of xllamacpp for a configuration of ``starting.py``."""
    import xllamacpp

    settings = config["settings"]
    found = xllamacpp.CommonParams()
    found.model.path = config["file"]
    found.hostnames = ["127.0.0.1"]
    found.port = config["port"]
    found.api_keys = [config["key"]]  # without one the server is open
    found.model_alias = {config["name"]}
    found.endpoint_metrics = True
    found.ui = False
    # Its cache of earlier prompts takes up to 8 GiB beside the KV cache.
    found.cache_ram_mib = 0
    found.fit_params = False
    found.n_parallel = settings["parallel"]
    found.n_ctx = settings["context"] * settings["parallel"]
    found.n_predict = settings.get("max_tokens", -1)
    found.n_gpu_layers = settings.get("gpu_layers", -1)
    if config.get("sleep_s"):  # it unloads the model itself, and loads it again at the next request
        found.sleep_idle_seconds = max(1, int(config["sleep_s"]))
    if config.get("adapter"):
        found.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(config["adapter"], 1.0)]
    if config.get("chat_template"):
        found.chat_template = config["chat_template"]
    found.embedding = settings.get("embeddings", False)
    if "pooling" in settings:  # else as the file says
        found.pooling_type = getattr(
            xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{settings['pooling'].upper()}"
        )
    # More threads than free cores make llama.cpp slower: they wait for one another in each layer.
    threads = settings.get("threads") or max(1, len(os.sched_getaffinity(0)) - 1)
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = threads
    return found


def main(path: str) -> int:
    """Load the model and serve it until a signal. Return 1 if it cannot be loaded."""
    file = Path(path)
    config = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    import xllamacpp

    try:
        server = xllamacpp.Server(parameters(config))
    except (RuntimeError, ValueError) as error:
        print(f"failed: {error}", file=sys.stderr, flush=True)  # noqa: T201 - the log of the deployment
        return 1
    signal.pause()  # SIGTERM ends it; what was in flight has ended before
    del server
    return 0


if __name__ == "__main__":
    if sys.path and Path(sys.path[0] or ".").resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)  # its threads would be waited for
