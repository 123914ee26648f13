"""Make the command of an engine: how it gets its model, its port, its key and its settings."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .settings import CHAT_TEMPLATE, COMMAND, LLAMA, SETTINGS, SGLANG, VLLM

#: The files are here already.
_OFFLINE = {"HF_HUB_OFFLINE": "1"}
_LLAMA_PROGRAM = Path(__file__).with_name("llama_cpp.py")

#: The ranks that vLLM takes as the highest; its default is 16.
_RANKS = (16, 32, 64, 128, 256, 320, 512)
_PORT = re.compile(r"\$PORT\b|\$\{PORT\}|\{port\}")


@dataclass(frozen=True, kw_only=True)
class EngineStart:
    """A command with its environment. ``health`` is the path that answers 200 once the engine is ready."""

    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    health: str = "/health"
    #: Whether the engine itself asks for the key.
    keyed: bool = True


def missing(engine: str) -> str:
    """Return how to install the engine if this environment lacks it; else an empty text."""
    if engine == LLAMA and importlib.util.find_spec("xllamacpp") is None:
        return "Install it into the environment of JupyterLab: pip install 'genops-lab[llm]'"
    if engine == VLLM and _vllm() is None:
        return "Install vLLM where a GPU is (pip install vllm), or deploy a GGUF file of the model."
    if engine == SGLANG and importlib.util.find_spec("sglang") is None:
        return "Install SGLang where a GPU is (pip install sglang), or deploy a GGUF file of the model."
    return ""


def start_of(
    serving: Mapping[str, Any], name: str, model: Path, folder: Path, port: int, key: str
) -> EngineStart:
    """Return the command for a revision. ``model`` is the folder of its files, ``folder`` a private one.

    The key is in no argument, because other users of the machine see those.
    """
    settings = dict(serving.get("settings", {}))
    engine = serving["engine"]
    if engine == COMMAND:
        # No shell reads the command, so $PORT, which people write, is replaced here.
        argv = [_PORT.sub(str(port), each) for each in shlex.split(serving["command"])]
        environment = {"PORT": str(port), "GENOPS_DEPLOYMENT_KEY": key}
        return EngineStart(argv=argv, environment=environment, health=serving["health"], keyed=False)
    file = model / serving["file"] if serving.get("file") else model
    if engine == LLAMA:
        adapter = str(model / serving["adapter"]) if serving.get("adapter") else ""
        config = {
            "file": str(file), "adapter": adapter, "port": port, "key": key, "name": name, "settings": settings,
            "sleep_s": serving.get("sleep_s", 0), CHAT_TEMPLATE: serving.get(CHAT_TEMPLATE, ""),
        }  # fmt: skip
        return _llama(folder, config)
    if CHAT_TEMPLATE in settings:
        settings[CHAT_TEMPLATE] = str(folder / "chat_template.jinja")
        _write_private(Path(settings[CHAT_TEMPLATE]), serving[CHAT_TEMPLATE])
    if engine == VLLM:
        program = _vllm() or "vllm"
        argv = [
            program,
            "serve",
            str(file),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        argv += _names(serving, name, model)
        argv += _options(VLLM, settings)
        environment = {**_OFFLINE, "VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1"}
        return EngineStart(argv=argv, environment=environment)
    config = {
        "model-path": str(file), "host": "127.0.0.1", "port": port, "served-model-name": name, "api-key": key,
        "enable-metrics": True,
    }  # fmt: skip
    path = folder / "sglang.yaml"
    _write_private(path, json.dumps(config))  # JSON is YAML
    argv = [sys.executable, "-m", "sglang.launch_server", "--config", str(path), *_options(SGLANG, settings)]
    return EngineStart(argv=argv, environment=_OFFLINE)


def _names(serving: Mapping[str, Any], name: str, model: Path) -> list[str]:
    """Return vLLM's options for the name of the model: with an adapter, that is the name of the adapter."""
    if not serving.get("adapter"):
        return ["--served-model-name", name]
    found = ["--served-model-name", f"{name}-base", "--enable-lora", "--lora-modules"]
    found.append(f"{name}={model / serving['adapter']}")
    rank = next((each for each in _RANKS if each >= serving.get("adapter_rank", 0)), _RANKS[-1])
    return [*found, "--max-lora-rank", str(rank)]


def _llama(folder: Path, config: dict[str, Any]) -> EngineStart:
    path = folder / "llama_cpp.json"
    _write_private(path, json.dumps(config))
    return EngineStart(argv=[sys.executable, str(_LLAMA_PROGRAM), str(path)])


def _options(engine: str, settings: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name, value in settings.items():
        option = SETTINGS[name].options.get(engine, "")
        if not option or value is False:
            continue
        if name == "embeddings":
            found += [option, "pooling"] if engine == VLLM else [option]
        elif name == "max_tokens":
            found += [option, json.dumps({"max_new_tokens": value})]
        elif name == "tool_parser" and engine == VLLM:
            found += ["--enable-auto-tool-choice", option, str(value)]
        else:
            found += [option, str(value)]
    return found


def _vllm() -> str | None:
    beside = Path(sys.executable).with_name("vllm")
    return str(beside) if beside.exists() else shutil.which("vllm")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
