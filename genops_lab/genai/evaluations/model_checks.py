"""Ask each model a few fixed questions before and after an evaluation: another may answer under the same name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.paths import write_private
from genops_lab.genai.endpoints.endpoint import CallFailed, Connection, Endpoint
from genops_lab.genai.endpoints.models import Probe
from genops_lab.genai.endpoints.probes import changed, differences, probe

if TYPE_CHECKING:
    from .results_folder import ResultsFolder


class ModelChecks(msgspec.Struct, kw_only=True):
    """The answers by model: ``first`` before the evaluation, ``last`` after it or after it was resumed.

    ``failed``: why the last check of a model has no answers.
    """

    first: dict[str, Probe] = {}
    last: dict[str, Probe] = {}
    failed: dict[str, str] = {}


async def check_models(folder: ResultsFolder, endpoints: Sequence[Endpoint]) -> None:
    """Ask all models and keep the answers. The first answers that a folder has stay the first. Raises OSError."""
    kept = _kept(folder)

    async def check(endpoint: Endpoint) -> None:
        if endpoint.limits.tokens is not None or endpoint.limits.money is not None:
            kept.failed[endpoint.name] = "it has a budget, and no budget has a part for check_models."
            return
        try:
            async with Connection(endpoint) as connection:
                found = await probe(connection)
        except CallFailed as failed:
            kept.failed[endpoint.name] = failed.message
            return
        kept.failed.pop(endpoint.name, None)
        kept.first.setdefault(endpoint.name, found)
        kept.last[endpoint.name] = found

    await asyncio.gather(*map(check, endpoints))
    write_private(folder.path / "model-checks.json", msgspec.json.encode(kept).decode())


def check_notes(folder: ResultsFolder) -> list[str]:
    """Say which models are not those of the beginning."""
    kept = _kept(folder)
    found = []
    for model, last in kept.last.items():
        first = kept.first[model]
        apart = differences(first, last)
        if changed(first, last):
            found.append(f"{model} is another model than at the beginning. {' '.join(apart)}")
        elif apart:
            found.append(
                f"{model} answers {len(apart)} of {len(last.answers)} fixed questions otherwise than at the beginning. "
                "Many servers do so at temperature 0."
            )
    found += [
        f"Whether {model} is still the same model is not known: {why}" for model, why in kept.failed.items()
    ]
    return found


def _kept(folder: ResultsFolder) -> ModelChecks:
    try:
        return msgspec.json.decode((folder.path / "model-checks.json").read_bytes(), type=ModelChecks)
    except FileNotFoundError:
        return ModelChecks()
