"""Decide how a language model or a command is served: the engine, its settings, and whether it fits into memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Conflict, Failed, InvalidRequest
from genops_lab.registry.files import gguf
from genops_lab.registry.models import ModelVersion
from genops_lab.serving.engines import starting
from genops_lab.serving.engines.memory import GpuNeed, Need, sized, what_fits
from genops_lab.serving.engines.settings import (
    COMMAND,
    DEFAULT_CONTEXT,
    DEFAULT_PARALLEL,
    GPU_SHARE,
    LLAMA,
    SCORER,
    SGLANG,
    VLLM,
    WrongSetting,
    check_engine,
    read_settings,
)

from .adapters import serving_with
from .chat_templates import with_template
from .record import LOCAL
from .sources import command_of
from .targets.base import Machine
from .weights import LanguageModel


def serving_of(
    version: ModelVersion, model: LanguageModel | None, given: Mapping[str, str], root: Path, on: str = LOCAL
) -> dict[str, Any] | None:
    """Return how the revision is served, as its record keeps it; None for MLflow's scorer.

    A host gets the engine with its environment; this machine must have it. Relative paths of files begin at ``root``.

    Raises InvalidRequest for settings that do not apply, and Failed if the engine is missing. May block.
    """
    try:
        settings = read_settings(given)
        command = command_of(version)
        if command is not None:
            check_engine(COMMAND, settings)
            return {"engine": COMMAND, **command, "settings": settings}
        if model is None:
            scorer_settings(settings)
            return None
        engine = _engine(settings.pop("engine", ""), model, on)
        check_engine(engine, settings)
        adapter = serving_with(version, model.adapter, engine) if model.adapter else {}
    except WrongSetting as error:
        raise InvalidRequest(f"{error}", hint=error.hint) from error
    missing = starting.missing(engine) if on == LOCAL else ""
    if missing:
        raise Failed(
            f"{engine} is not installed, and {version.name} needs it.", hint=missing, code="missing_engine"
        )
    if engine == LLAMA:
        settings.setdefault("context", min(model.context or DEFAULT_CONTEXT, DEFAULT_CONTEXT))
        settings.setdefault("parallel", DEFAULT_PARALLEL)
    if model.context and settings.get("context", 0) > model.context:
        raise InvalidRequest(
            f"context is {settings['context']:,}, and {version.name} was trained for {model.context:,} tokens.",
            hint=f"Give at most --set context={model.context}",
        )
    template = with_template(settings, root)
    return {"engine": engine, "file": model.file, "settings": settings, **adapter, **template}


def scorer_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of MLflow's scorer, as a record keeps them. Raises WrongSetting for others."""
    check_engine(SCORER, settings)
    if "batch_wait_ms" in settings and "batch" not in settings:
        raise WrongSetting("batch_wait_ms is given without batch.", "Add the rows of a batch: --set batch=32")
    return dict(settings)


def need_of(
    serving: Mapping[str, Any] | None, model: LanguageModel | None, machine: Machine
) -> Need | GpuNeed | None:
    """Return the memory that the engine needs on a machine; None for a command, and where the GPUs are not known."""
    if serving is None or model is None:
        return None
    settings = serving["settings"]
    if serving["engine"] == LLAMA:
        if settings.get("gpu_layers"):
            return None
        context, parallel = settings["context"], settings["parallel"]
        cache = model.token_bytes * context * parallel
        return Need(model.weights_bytes, cache, context, parallel, machine.free_bytes)
    if not machine.gpus:
        return None
    context = settings.get("context") or model.context or 0
    return GpuNeed(
        weights=model.weights_bytes
        if not settings.get("quantization")
        else 0,  # its size is not known before
        cache=model.token_bytes * context,
        context=context,
        count=settings.get("tensor_parallel", 1),
        share=settings.get("gpu_memory", GPU_SHARE),
        free=machine.gpus,
    )


def said_of(need: Need | GpuNeed | None, serving: Mapping[str, Any], machine: Machine) -> str:
    """Return what the check says of the memory; empty for a command."""
    if need is not None:
        return need.text()
    if serving["engine"] in (VLLM, SGLANG) and not machine.gpus:
        return f"No GPU was found on {machine.name}: {serving['engine']} needs one, but for builds for other devices."
    return ""


def refuse_too_large(
    version: ModelVersion, need: Need | GpuNeed | None, model: LanguageModel | None, machine: Machine
) -> None:
    """Raise Conflict if the memory of a machine cannot hold the model, with what would fit."""
    if need is None or model is None or need.fits:
        return
    where = "the GPUs" if isinstance(need, GpuNeed) else "the memory"
    raise Conflict(
        f"{version.name} does not fit into {where} of {machine.name}. {need.text()}",
        hint=what_fits(need, model.token_bytes),
        code="memory",
    )


def refuse_full_disk(version: ModelVersion, size: int, machine: Machine) -> None:
    """Raise Conflict if the disk of a host has no room for the files. That of the Lab is checked before a copy."""
    if machine.name != LOCAL and machine.disk_bytes and size > machine.disk_bytes:
        raise Conflict(
            f"The files of {version.name} have {sized(size)}, and the disk of {machine.name} has "
            f"{sized(machine.disk_bytes)} left.",
            hint="Free some disk space there, or choose another host: --on TARGET",
            code="disk",
        )


def _engine(asked: str, model: LanguageModel, on: str) -> str:
    if model.format == gguf.FORMAT:
        if asked not in ("", LLAMA):
            raise WrongSetting(
                f"{asked} does not serve GGUF files here.", f"Leave engine out: {LLAMA} serves them."
            )
        return LLAMA
    if asked == LLAMA:
        raise WrongSetting(
            "llama.cpp serves GGUF files, and this model has safetensors.",
            "Deploy a GGUF file of the model: many repositories have one.",
        )
    if on != LOCAL:
        return asked or VLLM
    return asked or (SGLANG if starting.missing(VLLM) and not starting.missing(SGLANG) else VLLM)
