"""Plan an optimization: check what was asked for, split the rows, and say the most that it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.endpoints.endpoint import is_bounded, most_tokens
from genops_lab.genai.endpoints.limits import Limits, Usage
from genops_lab.genai.evaluations.evaluation_file import (
    Evaluation,
    Message,
    read_evaluation,
    read_scorers,
)
from genops_lab.genai.evaluations.models import PlannedCalls
from genops_lab.genai.evaluations.rows import Rows, read_rows
from genops_lab.genai.scorers.judges import Pairwise
from genops_lab.runtime.money import money_text

from .mlflow_optimizer import GEPA_STEP, check_installed
from .models import PromptVersion, Turn
from .optimization_models import NewOptimization, OptimizationCost
from .splitting import split
from .trial_models import TrialModel
from .trials import check_variables, settings_of

#: The most tokens of a written text, and the most characters of one that is tried: the cost before the start counts
#: on them.
WRITER_TOKENS, MOST_CHARACTERS = 4096, 4000
#: Characters of what MLflow writes around the rows, of what a scorer says about an answer, and of a token.
_AROUND, _REASON, _CHARACTERS = 6000, 500, 4
#: The column of the held-out rows with their number in the file.
ROW = "_row"


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """The material of an optimization: the rows of both sides by id, and the evaluation of the held-out ones."""

    digest: str
    training: dict[str, dict[str, Any]]
    held_out: dict[str, dict[str, Any]]
    together: int
    file: Evaluation


def template_of(version: PromptVersion) -> str:
    """Return a version's text as MLflow's optimizers take it: chat turns as JSON."""
    if version.kind == "text":
        return version.turns[0].content
    return json.dumps([{"role": each.role, "content": each.content} for each in version.turns])


def turns_of_template(version: PromptVersion, template: str) -> list[Turn]:
    """Return the turns of a text that was written in place of a version's. Raises ValueError."""
    if version.kind == "text":
        return [msgspec.structs.replace(version.turns[0], content=template)]
    example = 'JSON such as [{"role": "system", "content": "..."}]'
    try:
        given = json.loads(template)
    except ValueError as error:
        raise ValueError(f"The text is no {example}: {error}.") from None
    if not isinstance(given, list) or not given:
        raise ValueError(f"The text is no {example}.")
    found = []
    for each in given:
        if not isinstance(each, dict) or not isinstance(each.get("content"), str):
            raise ValueError(f"A turn has no content: the text must be {example}.")
        if each.get("role") not in ("system", "user", "assistant"):
            raise ValueError("The role of a turn must be system, user or assistant.")
        found.append(Turn(role=each["role"], content=each["content"]))
    return found


def longest(version: PromptVersion) -> int:
    """Return the most characters of a text that is tried."""
    return max(MOST_CHARACTERS, 3 * len(template_of(version)))


def answer_settings(version: PromptVersion, body: NewOptimization) -> dict[str, Any]:
    """Return the settings of a call to the model that answers."""
    return settings_of(version, body.settings)


def writer_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a call to the writer: those of MLflow that say what it shall write."""
    kept = {name: given[name] for name in ("response_format", "temperature") if given.get(name) is not None}
    return {"max_tokens": WRITER_TOKENS, **kept}


def material_of(version: PromptVersion, body: NewOptimization, file_of_rows: str) -> Material:
    """Check what was asked for, and split the rows. Blocks. Raises InvalidRequest, NotFound, Failed."""
    check_installed(body.optimizer)
    rows = read_rows(Path(file_of_rows))
    rows = Rows(digest=rows.digest, by_id=dict(list(rows.by_id.items())[: body.rows]))
    check_variables(version, rows)
    if any(each.parts for each in version.turns):
        raise InvalidRequest(
            "A prompt with pictures cannot be optimized.", hint="Choose a version that has only text."
        )
    if not version.variables:
        raise InvalidRequest(
            f"Version {version.version} of {version.name} has no variables, so all rows would ask the same.",
            hint="Write {{column}} where a row shall give a value.",
        )
    read_scorers(body.scorers, body.scorers_name)
    file = held_out_file(version, body, version.turns)
    for scorer in file.scorers:
        is_alone = not isinstance(scorer, Pairwise)  # a pairwise judge compares two models
        if scorer.better != "higher" or scorer.bounds != (0.0, 1.0) or not is_alone:
            raise InvalidRequest(
                f"The scorer {scorer.label!r} gives no mark of 0 to 1 to one answer, on which more is better.",
                hint="Choose one such as exact, contains or a rubric.",
            )
    if body.money is not None:
        _check_budget(body, file)
    sides = split(rows.by_id, version.variables, body.held_out, body.seed)
    return Material(
        digest=rows.digest, training={id: rows.by_id[id] for id in sides.training},
        held_out={id: rows.by_id[id] for id in sides.held_out}, together=sides.together, file=file,
    )  # fmt: skip


def _check_budget(body: NewOptimization, file: Evaluation) -> None:
    prices = {body.answerer.name: body.answerer.price, body.writer.name: body.writer.price}
    prices |= {name: each.price for name, each in file.judges.items()}
    without = [name for name, price in prices.items() if price is None]
    if without:
        raise InvalidRequest(
            f"A budget of money needs a price of each model: {', '.join(without)} has none.",
            hint="Add the endpoint with --price-input and --price-output: genops endpoints add",
        )
    currencies = {price.currency for price in prices.values() if price}
    if len(currencies) > 1:
        raise InvalidRequest(
            f"The prices of the models are in {' and '.join(sorted(currencies))}.",
            hint="Give all prices in one currency, or leave out the budget.",
        )
    for name, each in file.judges.items():
        if not is_bounded(each.settings):
            raise InvalidRequest(
                f"The judge {name!r} has no max_tokens, so its cost has no bound.",
                hint="Add it below judges: settings: {max_tokens: 200}",
            )


def held_out_file(
    version: PromptVersion, body: NewOptimization, turns: Sequence[Turn], label: str = "new"
) -> Evaluation:
    """Return the evaluation that asks the old and a new text for the held-out rows. Raises EvaluationFileError."""
    return read_evaluation(held_out_text(version, body, turns, label), body.scorers_name)


def held_out_text(version: PromptVersion, body: NewOptimization, turns: Sequence[Turn], label: str) -> str:
    """Return the text of the evaluation. ``label`` is the name of the new text in the results."""
    scorers = msgspec.yaml.decode(body.scorers)
    name = re.sub(r"[^A-Za-z0-9]+", "-", version.name).strip("-")[:60] or "prompt"
    common = {**model_of(body.answerer), "settings": answer_settings(version, body)}

    def asked(own: Sequence[Turn]) -> dict[str, Any]:
        return {**common, "prompt": [{"role": each.role, "content": each.content} for each in own]}

    return json.dumps(
        {
            "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": f"{name}-held-out"},
            "data": "held-out.jsonl", "id": ROW,
            "models": {old_label(version): asked(version.turns), label: asked(turns)},
            "scorers": scorers["scorers"], "judges": scorers.get("judges") or {},
        }
    )  # fmt: skip


def old_label(version: PromptVersion) -> str:
    """Return the name of the old text in the results."""
    return f"version-{version.version}"


def with_limits(
    text: str, version: PromptVersion, rows: Mapping[str, dict[str, Any]], limits: Limits, money: float | None
) -> str:
    """Return the evaluation's text with limits: both texts share those of their endpoint, and all the money."""
    file = json.loads(text)
    for each in file["models"].values():
        each["limits"] = msgspec.to_builtins(_halved(limits))
    if money is None:
        return json.dumps(file)
    most = _most_of_each(read_evaluation(text), rows, version)
    for label, each in [*file["models"].items(), *file["judges"].items()]:
        share = most[label] * max(1.0, money / (sum(most.values()) or 1.0))
        own = each.setdefault("limits", {}).get("money")
        each["limits"]["money"] = max(min(share, own or share), 1e-12)
    return json.dumps(file)


def _halved(limits: Limits) -> Limits:
    """Return the limits of one of two models that share an endpoint: half of each budget. Others are held together."""
    return msgspec.structs.replace(
        limits,
        money=None if limits.money is None else limits.money / 2,
        tokens=None if limits.tokens is None else max(1, limits.tokens // 2),
    )


def model_of(given: TrialModel) -> dict[str, Any]:
    """Return a model as an evaluation file has it."""
    found = {name: getattr(given, name) for name in ("endpoint", "deployment", "url", "model", "key")}
    price = {} if given.price is None else {"price": msgspec.to_builtins(given.price)}
    return {**{name: value for name, value in found.items() if value}, **price}


# The most that an optimization costs -----------------------------------------------------------------------------


def cost_of(version: PromptVersion, body: NewOptimization, found: Material) -> OptimizationCost:
    """Return the most that an optimization costs. Raises InvalidRequest if a budget is too small for the comparison."""
    from genops_lab.genai.evaluations.planning import planned

    texts = body.rounds + 1
    if body.optimizer == "gepa":  # a step tries a few rows with the old and the new text before all rows
        texts += -(-2 * (body.rounds + 1) * GEPA_STEP // len(found.training)) + 1
    long = held_out_file(version, body, _longest_turns(version))
    one = msgspec.structs.replace(long, models={"new": long.models["new"]})
    training = planned(one, _rows(found.training), None)
    held_out = planned(long, _rows(found.held_out), None)
    old, new = held_out.models
    own = planned(found.file, _rows(found.held_out), None).models[0]
    old = msgspec.structs.replace(own, model=old.model)
    parts = [
        *(_times(each, texts, f"{body.answerer.name}, training rows") for each in training.models),
        _writing(version, body, found),
        *(_times(each, texts, f"{each.model} judges, training rows") for each in training.judges),
        _times(old, 1, f"{body.answerer.name}, held-out rows, version {version.version}"),
        _times(new, 1, f"{body.answerer.name}, held-out rows, new text"),
        *(_times(each, 1, f"{each.model} judges, held-out rows") for each in held_out.judges),
    ]
    prices = {body.answerer.name: body.answerer.price, body.writer.name: body.writer.price}
    prices |= {name: each.price for name, each in found.file.judges.items()}
    money = [each.money for each in parts if each.money is not None]
    currencies = {each.currency for each in parts if each.money is not None}
    cost = OptimizationCost(
        version=version.version, digest=found.digest, training=len(found.training),
        held_out=len(found.held_out), together=found.together,
        calls=sum(each.calls or 0 for each in parts), parts=parts, shows=held_out.shows,
        tokens=sum((each.input_tokens or 0) + (each.output_tokens or 0) for each in parts),
        money=sum(money) if len(money) == len(parts) and len(currencies) == 1 else None,
        currency=min(currencies, default="USD"),
        without_price=sorted(name for name, price in prices.items() if price is None),
    )  # fmt: skip
    comparing = comparison_most(version, body, found.file, found.held_out)
    if body.money is not None and comparing >= body.money:
        raise InvalidRequest(
            f"The comparison on {len(found.held_out):,} held-out rows alone may cost "
            f"{money_text(comparing, cost.currency, 'most')}: "
            f"nothing of the budget of {money_text(body.money, cost.currency, 'given')} is left for the optimizer.",
            hint="Give more money, or fewer rows: --rows NUMBER",
        )
    return cost


def comparison_most(
    version: PromptVersion, body: NewOptimization, file: Evaluation, held_out: Mapping[str, dict[str, Any]]
) -> float:
    """Return the most that the comparison on held-out rows costs; 0 without a budget of money."""
    return 0.0 if body.money is None else sum(_most_of_each(file, held_out, version).values())


def _most_of_each(
    file: Evaluation, rows: Mapping[str, dict[str, Any]], version: PromptVersion
) -> dict[str, float]:
    """Return the most that each model and each judge of the comparison costs."""
    from genops_lab.genai.evaluations.planning import planned

    old, new = file.models.items()
    turns = [Message(role="user", content=each.content) for each in _longest_turns(version)]
    models = dict([old, (new[0], msgspec.structs.replace(new[1], prompt=turns))])
    found = planned(msgspec.structs.replace(file, models=models), _rows(rows), None)
    return {each.model: each.money or 0.0 for each in [*found.models, *found.judges]}


def _longest_turns(version: PromptVersion) -> list[Turn]:
    """Return turns as long as those of a new text may be."""
    room = max(longest(version) - len(template_of(version)), 0)
    return [*version.turns, Turn(role="user", content="x" * room)]


def _rows(by_id: Mapping[str, dict[str, Any]]) -> Rows:
    return Rows(digest="", by_id=dict(by_id))


def _times(each: PlannedCalls, times: int, purpose: str) -> PlannedCalls:
    calls, read, written = (
        None if count is None else count * times
        for count in (each.calls, each.input_tokens, each.output_tokens)
    )
    return msgspec.structs.replace(
        each, model=purpose, calls=calls, input_tokens=read, output_tokens=written,
        money=None if each.money is None else each.money * times,
    )  # fmt: skip


def _writing(version: PromptVersion, body: NewOptimization, found: Material) -> PlannedCalls:
    """Return the calls to the writer: it reads all training rows with their answers."""
    answer = _CHARACTERS * most_tokens([], answer_settings(version, body)).output
    each = answer + _REASON * len(found.file.scorers) + 200
    size = _AROUND + 2 * longest(version)
    size += sum(len(msgspec.json.encode(row, enc_hook=str)) + each for row in found.training.values())
    most = Usage(input=size * body.rounds, output=WRITER_TOKENS * body.rounds)
    price = body.writer.price
    return PlannedCalls(
        model=f"{body.writer.name} writes", calls=body.rounds, input_tokens=most.input, output_tokens=most.output,
        money=price.most_of(most) if price else None, currency=price.currency if price else "USD",
    )  # fmt: skip
