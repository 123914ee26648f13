"""The settings of engines and of the scorer: one table with their meanings, and each one's own option for them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LLAMA, VLLM, SGLANG, COMMAND = "llama.cpp", "vllm", "sglang", "command"
ENGINES = (LLAMA, VLLM, SGLANG)
#: What the scorer serves, as messages name it.
SCORER = "MLflow models"
SIZES = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "TB": 10**12, "GB": 10**9, "MB": 10**6}
#: The tokens of a request where nothing else is set, if the model has as many.
DEFAULT_CONTEXT = 4096
DEFAULT_PARALLEL = 2
#: The share of a GPU that vLLM takes by default; SGLang takes about as much.
GPU_SHARE = 0.9
#: The setting that is a file: its text is in the record of the revision.
CHAT_TEMPLATE = "chat_template"
#: Seconds until the first byte of an answer; a whole answer that is not streamed takes long.
DEFAULT_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting: its meaning, its values, and the option of each engine that has it.

    ``options`` has a command-line option for vLLM and SGLang, a parameter's name for llama.cpp, and a key of
    ``spec.json`` for the scorer.
    """

    meaning: str
    options: Mapping[str, str]
    kind: str = "number"
    least: float = 1
    most: float = 10_000_000
    choices: tuple[str, ...] = field(default=())


POOLING = ("mean", "cls", "last", "rank")
_DTYPES = ("auto", "float16", "bfloat16", "float32")

SETTINGS: dict[str, Setting] = {
    "engine": Setting(
        meaning="The engine; by default llama.cpp for GGUF files, and vLLM or SGLang for safetensors",
        options=dict.fromkeys(ENGINES, ""),
        kind="choice",
        choices=ENGINES,
    ),
    "context": Setting(
        meaning="Tokens of one request, prompt and answer together",
        options={LLAMA: "n_ctx", VLLM: "--max-model-len", SGLANG: "--context-length"},
        least=16,
    ),
    "parallel": Setting(
        meaning="Requests that are answered at once; others wait",
        options={LLAMA: "n_parallel", VLLM: "--max-num-seqs", SGLANG: "--max-running-requests"},
        most=4096,
    ),
    "max_tokens": Setting(
        meaning="The most tokens of an answer, where a request sets no number",
        options={LLAMA: "n_predict", VLLM: "--override-generation-config"},
    ),
    "threads": Setting(
        meaning="CPU threads; by default the cores of this machine without one",
        options={LLAMA: "n_threads"},
        most=1024,
    ),
    "gpu_layers": Setting(
        meaning="Layers of the model on the GPU; the others stay on the CPU",
        options={LLAMA: "n_gpu_layers"},
        least=0,
        most=10_000,
    ),
    "tensor_parallel": Setting(
        meaning="GPUs that hold a part of each layer",
        options={VLLM: "--tensor-parallel-size", SGLANG: "--tp-size"},
        most=1024,
    ),
    "gpu_memory": Setting(
        meaning="Share of a GPU's memory for weights and KV cache",
        options={VLLM: "--gpu-memory-utilization", SGLANG: "--mem-fraction-static"},
        kind="share",
        least=0.05,
        most=1,
    ),
    "dtype": Setting(
        meaning="Type of the weights and of the computation",
        options={VLLM: "--dtype", SGLANG: "--dtype"},
        kind="choice",
        choices=_DTYPES,
    ),
    "quantization": Setting(
        meaning="The GGUF file of a repository, such as Q4_K_M; for vLLM and SGLang the method, such as fp8",
        options={LLAMA: "", VLLM: "--quantization", SGLANG: "--quantization"},
        kind="name",
    ),
    "embeddings": Setting(
        meaning="Whether the model makes embeddings (/v1/embeddings) in place of text",
        options={LLAMA: "embedding", VLLM: "--runner", SGLANG: "--is-embedding"},
        kind="flag",
    ),
    "pooling": Setting(
        meaning="How the vectors of the tokens become one: mean, cls or last; rank for a model that ranks documents",
        options={LLAMA: "pooling_type"},
        kind="choice",
        choices=POOLING,
    ),
    "tool_parser": Setting(
        meaning="How tool calls are read from the model's text, such as hermes; llama.cpp reads the chat template",
        options={VLLM: "--tool-call-parser", SGLANG: "--tool-call-parser"},
        kind="name",
    ),
    "reasoning_parser": Setting(
        meaning="How reasoning is told from the answer, such as deepseek_r1; llama.cpp reads the chat template",
        options={VLLM: "--reasoning-parser", SGLANG: "--reasoning-parser"},
        kind="name",
    ),
    CHAT_TEMPLATE: Setting(
        meaning="A Jinja file that turns messages and tools into the prompt, in place of the model's own template",
        options={LLAMA: "chat_template", VLLM: "--chat-template", SGLANG: "--chat-template"},
        kind="file",
    ),
    "timeout": Setting(
        meaning="Seconds until the first byte of an answer",
        options=dict.fromkeys((*ENGINES, COMMAND), ""),
        most=86_000,
    ),
    "batch": Setting(
        meaning="The most rows of several requests that are predicted at once; by default each request alone",
        options={SCORER: "batch_rows"},
        least=2,
        most=100_000,
    ),
    "batch_wait_ms": Setting(
        meaning="Milliseconds that a request waits for others of its batch",
        options={SCORER: "batch_wait_ms"},
        least=0,
        most=10_000,
    ),
    "workers": Setting(
        meaning="Processes that answer side by side, each with the model in its memory",
        options={SCORER: "workers"},
        most=64,
    ),
    "memory": Setting(
        meaning="Memory that each process may use, such as 2GB; if it uses more, the model is loaded again",
        options={SCORER: "memory_bytes"},
        kind="size",
    ),
}


class WrongSetting(ValueError):
    """A setting that cannot be used. ``hint`` says what was meant."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def read_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """Return settings, given as texts, by name with their values. Raises WrongSetting for names and values."""
    return {name: _value(name, text) for name, text in given.items()}


def check_engine(engine: str, settings: Mapping[str, Any]) -> None:
    """Raise WrongSetting for a setting that the engine does not have."""
    for name in settings:
        if engine not in SETTINGS[name].options:
            usable = " and ".join(SETTINGS[name].options)
            raise WrongSetting(
                f"The setting {name!r} does not apply to {engine}.",
                f"It applies to {usable}. Leave it out." if usable else "Leave it out.",
            )


def scorer_options(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return what the settings of the scorer are in its ``spec.json``.

    >>> scorer_options({"batch": 32, "memory": "2 GB"})
    {'batch_rows': 32, 'memory_bytes': 2000000000}
    """
    return {
        SETTINGS[name].options[SCORER]: _bytes(value) if SETTINGS[name].kind == "size" else value
        for name, value in settings.items()
    }


def _bytes(size: str) -> int:
    number, unit = size.split(" ")
    return round(float(number) * SIZES[unit])


def _size(name: str, known: Setting, text: str) -> str:
    """Return a size as number and unit."""
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([A-Za-z]{2,3})", text)
    unit = next((each for each in SIZES if found and each.lower() == found[2].lower()), "")
    if found is None or not unit or not float(found[1]):
        raise WrongSetting(f"{name} is {text[:40]!r}.", f"{known.meaning}. Units: {', '.join(SIZES)}.")
    return f"{float(found[1]):g} {unit}"


def _value(name: str, text: str) -> Any:
    known = SETTINGS.get(name)
    if known is None:
        near = difflib.get_close_matches(name.lower().replace("-", "_"), SETTINGS, n=1, cutoff=0.5)
        meant = f"Did you mean {near[0]}? " if near else ""
        raise WrongSetting(
            f"There is no setting {name[:40]!r}.", f"{meant}The settings: {', '.join(SETTINGS)}."
        )
    if known.kind in ("number", "share"):
        return _number(name, known, text)
    if known.kind == "size":
        return _size(name, known, text)
    if known.kind == "flag":
        if text.lower() not in ("true", "false"):
            raise WrongSetting(f"{name} is {text[:40]!r}.", f"{known.meaning}: give true or false.")
        return text.lower() == "true"
    if known.kind == "choice" and text not in known.choices:
        raise WrongSetting(f"{name} is {text[:40]!r}.", f"Give one of {', '.join(known.choices)}.")
    if known.kind == "name" and not text.replace("_", "").replace("-", "").replace(".", "").isalnum():
        raise WrongSetting(f"{name} is {text[:40]!r}.", f"{known.meaning}.")
    return text


def _number(name: str, known: Setting, text: str) -> int | float:
    try:
        found = float(text) if known.kind == "share" else int(text.replace(",", "").replace("_", ""))
    except ValueError:
        found = -1
    if not known.least <= found <= known.most:
        raise WrongSetting(
            f"{name} is {text[:40]!r}.",
            f"{known.meaning}: give a number from {known.least:g} to {known.most:,g}.",
        )
    return found
