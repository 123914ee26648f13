"""Find the language model in a revision's files: its format, its weights, and the shape that decides its memory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.registry.files import gguf, safetensors
from genops_lab.registry.files.judged import Header
from genops_lab.registry.files.reader import Inspected
from genops_lab.serving.engines.memory import Attention

from . import adapters

#: A part of a GGUF file that is split.
_PART = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)
_MAX_CONFIG = 2_000_000


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A LoRA adapter beside its base model: a GGUF file, or a folder of safetensors with its ``rank`` (0: unknown)."""

    format: str
    file: str
    rank: int = 0


class LanguageModel(msgspec.Struct, frozen=True, kw_only=True):
    """A language model in a folder. ``file`` is the GGUF file, or its first part; empty for a folder of safetensors.

    ``attention`` has layers, KV heads, key size and value size; None if the files do not tell them.
    """

    format: str
    file: str = ""
    weights_bytes: int
    architecture: str = ""
    context: int | None = None
    attention: tuple[int, int, int, int] | None = None
    adapter: Adapter | None = None

    @property
    def token_bytes(self) -> int:
        """The bytes of the KV cache for one token; 0 if unknown."""
        return Attention(*self.attention).token_bytes() if self.attention else 0


def language_model(folder: Path, inspected: Inspected) -> LanguageModel | None:
    """Return the language model of a folder that has no MLmodel file; None if it has none."""
    found, tensors = _by_format(inspected, gguf.FORMAT), _by_format(inspected, safetensors.FORMAT)
    adapted = [each for each in (*found, *tensors) if _is_adapter(each)]
    found = [each for each in found if not _is_adapter(each)]
    tensors = [each for each in tensors if not _is_adapter(each)]
    if found:
        first = chosen(found)
        size = sum(inspected.sizes[each] for each in (*found, *adapted))
        model = _of_header(first, inspected.judged[first].header, size)
    elif tensors:
        size = sum(inspected.sizes[each] for each in (*tensors, *adapted))
        model = of_config(_config(folder / "config.json"), size)
    else:
        return None
    return msgspec.structs.replace(model, adapter=_adapter(folder, adapted, inspected)) if adapted else model


def _is_adapter(path: str) -> bool:
    return path.startswith(f"{adapters.FOLDER}/")


def _adapter(folder: Path, files: list[str], inspected: Inspected) -> Adapter:
    if inspected.judged[files[0]].format == gguf.FORMAT:
        return Adapter(format=gguf.FORMAT, file=chosen(files))
    rank = adapters.rank_of(folder, inspected)
    return Adapter(format=safetensors.FORMAT, file=adapters.FOLDER, rank=rank)


def of_config(config: dict[str, Any], weights_bytes: int) -> LanguageModel:
    """Return the model of a folder of safetensors with this config.json."""
    text = config.get("text_config", config)  # models with pictures have the text's shape there
    return LanguageModel(
        format=safetensors.FORMAT,
        weights_bytes=weights_bytes,
        architecture=str(next(iter(config.get("architectures") or []), "")),
        context=_whole(text.get("max_position_embeddings")),
        attention=_of_config(text),
    )


def chosen(files: list[str]) -> str:
    """Return the only GGUF file, or the first part of the only split one. Raises InvalidRequest for several."""
    parts = {_PART.sub(".gguf", each) for each in files}
    if len(parts) > 1:
        shown = ", ".join(sorted(parts)[:12])
        raise InvalidRequest(
            f"There are {len(parts)} GGUF files: {shown}.",
            hint="Name the one to serve by its quantization, such as --set quantization=Q4_K_M",
        )
    return min(files)


def of_quantization(files: list[str], quantization: str) -> list[str]:
    """Return the GGUF files whose names have this quantization. Raises InvalidRequest if there is none."""
    wanted = re.compile(rf"(?<![A-Za-z0-9]){re.escape(quantization)}(?![A-Za-z0-9_])", re.IGNORECASE)
    found = [each for each in files if wanted.search(each)]
    if not found:
        shown = ", ".join(sorted({_PART.sub(".gguf", each) for each in files})[:12])
        raise InvalidRequest(
            f"No GGUF file has the quantization {quantization}.", hint=f"There are: {shown}."
        )
    return found


def _by_format(inspected: Inspected, name: str) -> list[str]:
    return sorted(path for path, each in inspected.judged.items() if each.format == name)


def _of_header(file: str, header: Header | None, size: int) -> LanguageModel:
    header = header or Header()
    return LanguageModel(
        format=gguf.FORMAT,
        file=file,
        weights_bytes=size,
        architecture=header.architecture,
        context=header.context_length,
        attention=header.attention,
    )


def _config(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_CONFIG:
            return {}
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Failed(
            f"Cannot read config.json of the model: {error}.", hint="Fetch the model's files again."
        ) from error
    return found if isinstance(found, dict) else {}


def _of_config(config: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Return layers, KV heads, key size and value size of a config.json of transformers."""
    layers, heads = _whole(config.get("num_hidden_layers")), _whole(config.get("num_attention_heads"))
    width = _whole(config.get("hidden_size"))
    if not layers or not heads or not width:
        return None
    size = _whole(config.get("head_dim")) or width // heads
    return layers, _whole(config.get("num_key_value_heads")) or heads, size, size


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
