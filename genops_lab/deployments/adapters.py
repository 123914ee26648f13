"""Serve a LoRA adapter with its base model as one revision: its files lie in ``adapter`` below those of the base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.registry.files import gguf
from genops_lab.registry.models import ModelVersion
from genops_lab.serving.engines.settings import LLAMA, VLLM, WrongSetting

if TYPE_CHECKING:
    from genops_lab.registry.files.reader import Inspected

    from .weights import Adapter

FOLDER = "adapter"
_SOURCE, _NAME, _VARIABLE = "adapter", "adapter_name", "variable"


def adapted(base: ModelVersion, adapter: ModelVersion) -> ModelVersion:
    """Return a base model with an adapter as one version."""
    return replace(
        base,
        version=f"{base.version}+{adapter.version[:8]}",
        tags={**base.tags, _SOURCE: adapter.source, _NAME: f"{adapter.name}@{adapter.version}"},
    )


def adapter_of(version: ModelVersion) -> ModelVersion | None:
    """Return the adapter of a version from :func:`adapted`; else None."""
    if _SOURCE not in version.tags:
        return None
    name, _, number = version.tags[_NAME].rpartition("@")
    tags = {_VARIABLE: version.tags[_VARIABLE]} if _VARIABLE in version.tags else {}
    return ModelVersion(name=name, version=number, source=version.tags[_SOURCE], tags=tags)


def base_of(version: ModelVersion) -> ModelVersion:
    """Return the base model of a version from :func:`adapted`."""
    tags = {name: value for name, value in version.tags.items() if name not in (_SOURCE, _NAME)}
    return replace(version, version=version.version.partition("+")[0], tags=tags)


def serving_with(version: ModelVersion, adapter: Adapter, engine: str) -> dict[str, object]:
    """Return how the engine gets the adapter, as the record keeps it. Raises WrongSetting."""
    if engine not in (LLAMA, VLLM):
        raise WrongSetting(
            f"Adapters are not served by {engine}: a request would have to name the adapter.",
            "Leave engine out, or merge the adapter into the model.",
        )
    if (engine == LLAMA) != (adapter.format == gguf.FORMAT):
        raise WrongSetting(
            f"The adapter is in {adapter.format}, and {engine} does not read that.",
            "Convert it with convert_lora_to_gguf.py of llama.cpp."
            if engine == LLAMA
            else "Give the adapter's folder with adapter_config.json and adapter_model.safetensors.",
        )
    found: dict[str, object] = {"adapter": adapter.file, _NAME: version.tags[_NAME]}
    return {**found, "adapter_rank": adapter.rank} if engine == VLLM else found


def rank_of(folder: Path, inspected: Inspected) -> int:
    """Return the rank in ``adapter_config.json``; 0 if the file has none."""
    if f"{FOLDER}/adapter_config.json" not in inspected.sizes:
        return 0
    try:
        rank = json.loads((folder / FOLDER / "adapter_config.json").read_bytes())["r"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return rank if isinstance(rank, int) and 0 < rank <= 512 else 0
