"""Read the configuration of a transformers snapshot, of a PEFT adapter, and a model card."""

from __future__ import annotations

from typing import Any

from genops_lab.experiments.model_yaml import UnreadableModel, parse_yaml

from .judged import Header
from .source import Damaged
from .texts import parse_json

MAX_TEXT = 200
MAX_FRONT_MATTER = 100_000
#: Ways to quantise that pack several weights into one stored value, so that stored values are no parameters.
_PACKED = ("gptq", "awq", "aqlm", "bitsandbytes", "hqq", "quip", "eetq", "compressed-tensors")


def of_config(content: bytes) -> tuple[Header, bool]:
    """Return what a ``config.json`` says, and whether weights are packed. Raises Damaged."""
    found = parse_json(content)
    if not isinstance(found, dict):
        return Header(), False
    architectures = found.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else found.get("model_type")
    length = found.get("max_position_embeddings")
    method, bits = "", None
    quantized = found.get("quantization_config")
    if isinstance(quantized, dict):
        method = _text(quantized, "quant_method")
        bits = quantized.get("bits")
        if quantized.get("load_in_4bit") is True:
            bits = 4
    shown = f"{method} {bits}-bit" if isinstance(bits, int) and method else method
    header = Header(
        architecture=first[:MAX_TEXT] if isinstance(first, str) else "",
        context_length=length
        if isinstance(length, int) and not isinstance(length, bool) and length > 0
        else None,
        quantization=shown,
    )
    return header, method in _PACKED


def of_adapter(content: bytes) -> Header:
    """Return what the ``adapter_config.json`` of PEFT says. Raises Damaged."""
    found = parse_json(content)
    if not isinstance(found, dict):
        return Header()
    kind = _text(found, "peft_type")
    return Header(
        base_model=_text(found, "base_model_name_or_path"),
        architecture=f"{kind} adapter" if kind else "adapter",
    )


def of_card(content: bytes) -> Header:
    """Return what the front matter of a README says. Raises Damaged."""
    text = content[:MAX_FRONT_MATTER].decode("utf-8", "replace").replace("\r\n", "\n")
    if not text.startswith("---\n"):
        return Header()
    front, found, _ = text[4:].partition("\n---")
    if not found:
        return Header()
    try:
        known = parse_yaml(front.encode())
    except UnreadableModel as error:
        raise Damaged(f"Its front matter cannot be read: {error}.") from error
    if not isinstance(known, dict):
        return Header()
    licence = _text(known, "license")
    if licence == "other":
        licence = _text(known, "license_name") or licence
    base = known.get("base_model")
    first = base[0] if isinstance(base, list) and base else base
    return Header(licence=licence, base_model=first[:MAX_TEXT] if isinstance(first, str) else "")


def shards_of(content: bytes) -> list[str]:
    """Return the files that an index of shards names. Raises Damaged."""
    found = parse_json(content)
    places = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(places, dict) or not all(isinstance(each, str) for each in places.values()):
        raise Damaged("It has no map of weights.")
    return sorted(set(places.values()))


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return value[:MAX_TEXT] if isinstance(value, str) and value.isprintable() else ""
