"""Limit the evaluation file of a kernel on another host: the host is not trusted.

The Lab asks endpoints of its own list with their own limits, scores with scorers that read no file and run no code of
the host, and takes the rows that the kernel sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from genops_lab.core.errors import NotAllowed
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.scorers.base import Judge, Rule
from genops_lab.genai.scorers.programs import Embeddings, JsonSchema, Regex, Rouge, Sacrebleu

from .evaluation_file import Evaluation, Model
from .rows import Rows

#: Settings of a call that cannot lead it to another model, address or key, also through LiteLLM.
SETTINGS = frozenset({
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "seed", "stop", "n",
    "presence_penalty", "frequency_penalty", "repetition_penalty", "response_format", "reasoning_effort", "tool_choice",
    "logprobs", "top_logprobs",
})  # fmt: skip
_MOST_S, _MOST_MB = 30.0, 2048


def check_from_kernel(file: Evaluation, rows: Rows) -> None:
    """Raise NotAllowed for the first part of a file that a kernel on another host must not use."""
    problem = next(_problems(file, rows), None)
    if problem is not None:
        what, hint = problem
        raise NotAllowed(f"A kernel on another host cannot evaluate this file: {what}.", hint=hint)


def _problems(file: Evaluation, rows: Rows) -> Iterator[tuple[str, str]]:
    """Yield each problem, and what to do."""
    for name in ("data", "training"):
        if getattr(file, name):
            yield (
                f"{name} names a file of the Lab's machine or data of its MLflow",
                "Give rows of the notebook: %%evaluate ROWS, or rows=...",
            )
    if file.harness:
        yield (
            "a harness would run on the Lab's machine",
            "Begin it in a terminal of the Lab: genops evaluate FILE",
        )
    for label, model in {**file.models, **file.judges}.items():
        yield from _of_model(label, model)
    user = file.conversation.user
    for settings in (file.settings, user.settings if user else {}):
        yield from _of_settings("settings", settings)
    for tool in file.tools:
        if tool.file:
            yield f"the tool {tool.name!r} reads a file of the Lab's machine", "Give its answers in a column."
    for scorer in file.scorers:
        if isinstance(scorer, Judge):
            yield from _of_settings(f"the scorer {scorer.label!r}", scorer.settings)
        elif isinstance(scorer, Regex | JsonSchema | Sacrebleu | Rouge):
            if scorer.timeout_s > _MOST_S or not 0 < scorer.memory_mb <= _MOST_MB:
                yield (
                    f"the scorer {scorer.label!r} may use more than {_MOST_S:g} s or {_MOST_MB:,} MB here",
                    "Leave out timeout_s and memory_mb.",
                )
        elif not isinstance(scorer, Rule) and not (isinstance(scorer, Embeddings) and scorer.endpoint):
            yield (
                f"the scorer {scorer.label!r} would run code or load a model on the Lab's machine",
                "Use another scorer, or evaluate in a terminal of the Lab: genops evaluate FILE",
            )
    for column in file.attached:
        if any(not str(row.get(column) or "data:").startswith("data:") for row in rows.by_id.values()):
            yield f"a row names a file in {column!r}", "Give pictures and PDFs as data URLs."


def _of_model(label: str, model: Model) -> Iterator[tuple[str, str]]:
    if model.url or model.key:
        yield (
            f"the model {label!r} names an address or a secret",
            "Name an endpoint of the Lab's list, endpoint: NAME, or a deployment.",
        )
    if model.model or model.limits != Limits() or model.price:
        yield (
            f"the model {label!r} changes the model, limits or price of its endpoint",
            "Leave them out: those of the Lab's list count.",
        )
    if model.registered:
        yield (
            f"the model {label!r} is a registered version, and gates would see its scores",
            "Leave out registered, or evaluate in a terminal of the Lab: genops evaluate FILE",
        )
    yield from _of_settings(f"the model {label!r}", model.settings)


def _of_settings(what: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in settings:
        if name not in SETTINGS:
            yield f"{what} has the setting {name!r}", f"Allowed: {', '.join(sorted(SETTINGS))}."
