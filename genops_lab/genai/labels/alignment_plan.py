"""Plan an alignment: find the judge and its labels, split them, and say the most that it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.genai.endpoints.endpoint import Endpoint, most_tokens
from genops_lab.genai.endpoints.limits import Price, Usage
from genops_lab.genai.evaluations.asking_models import wanted_of
from genops_lab.genai.evaluations.evaluation_file import Evaluation, Model, read_evaluation
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import PlannedCalls
from genops_lab.genai.evaluations.process import all_scorers
from genops_lab.genai.evaluations.results_folder import KeptLabel, KeptScore, ResultsFolder
from genops_lab.genai.evaluations.scoring import answered
from genops_lab.genai.prompts.mlflow_optimizer import GEPA_STEP, check_installed
from genops_lab.genai.prompts.optimization_plan import MOST_CHARACTERS, WRITER_TOKENS
from genops_lab.genai.scorers.base import Answered, NotScored
from genops_lab.genai.scorers.judges import Rubric
from genops_lab.runtime.money import money_text

from .alignment_models import AlignmentCost, NewAlignment

#: The fewest labels that criteria are written by; MLflow's own alignment asks for as many.
LEAST_TRAINING = 10
#: Characters of what MLflow writes around the answers, and of what is said about each.
_AROUND, _EACH = 6000, 1000


class LabelledAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with people's label. ``mark``: what the evaluation kept of the judge's mark; None: nothing."""

    label: KeptLabel
    answered: Answered
    mark: KeptScore | None = None


class AlignmentMaterial(msgspec.Struct, frozen=True, kw_only=True):
    """The material of an alignment: the judge, the model that it asks, and the answers of both sides by id."""

    judge: Rubric
    model: Model
    question: str
    training: dict[str, LabelledAnswer]
    held_out: dict[str, LabelledAnswer]


def judge_to_align(folder: ResultsFolder, name: str) -> tuple[Rubric, Model]:
    """Return a judge of an evaluation, with the model that it asks. Raises NotFound, InvalidRequest. Blocks."""
    scorers, judges = all_scorers(folder, read_evaluation(folder.text()))
    rubrics = [each for each in scorers if isinstance(each, Rubric)]
    names = ", ".join(each.label for each in rubrics) or "none"
    if name:
        found = [each for each in scorers if each.label == name]
        if not found:
            raise NotFound(f"{folder.id} has no scorer {name[:80]!r}.", hint=f"Its rubrics: {names}.")
        if not isinstance(found[0], Rubric):
            raise InvalidRequest(
                f"The scorer {name!r} is no rubric: no criterion of it can be written.",
                hint=f"Rubrics: {names}.",
            )
        return found[0], judges[found[0].model]
    if len(rubrics) != 1:
        raise InvalidRequest(
            f"{folder.id} has {len(rubrics)} rubrics.",
            hint=f"Name the judge: --judge NAME. Rubrics: {names}.",
        )
    return rubrics[0], judges[rubrics[0].model]


def material_of(folder: ResultsFolder, body: NewAlignment) -> AlignmentMaterial:
    """Check what was asked for, and split the labels. Raises InvalidRequest, NotFound, Failed. Blocks."""
    from genops_lab.genai.evaluations.kept_labels import kept_labels  # numpy
    from genops_lab.genai.evaluations.report_labels import question_for, unseen
    from genops_lab.genai.prompts.splitting import split
    from genops_lab.statistics.prediction_powered import LEAST_LABELS

    check_installed(body.optimizer)
    judge, model = judge_to_align(folder, body.judge)
    file, rows = read_evaluation(folder.text()), folder.rows()
    scorers = {each.label: each for each in all_scorers(folder, file)[0]}
    kept = question_for(judge, scorers, kept_labels(folder))
    labels = [] if kept is None else unseen(judge, kept.labels, rows)
    answers = _answers(folder, file, judge, labels)
    chosen = [each for each in answers if each.label.chance is not None]
    needed = max(math.ceil(LEAST_LABELS / body.held_out), math.ceil(LEAST_TRAINING / (1 - body.held_out)))
    if kept is None or len(chosen) < needed:
        raise InvalidRequest(
            f"{len(chosen):,} answers chosen at random have a label for the judge {judge.label}, and {needed:,} are "
            f"needed: {LEAST_LABELS} that the writer does not see, and {LEAST_TRAINING} that it sees.",
            hint=f"Label more answers on the page Labels: genops labels begin {folder.id} --judge {judge.label} "
            f"--sample {needed}",
        )
    asked = {each.label.example: each.answered.row for each in chosen}
    sides = split(asked, sorted({name for row in asked.values() for name in row}), body.held_out, body.seed)
    measuring = set(sides.held_out)
    training = [each for each in answers if each.label.example not in measuring]
    held_out = [each for each in chosen if each.label.example in measuring]
    if len(held_out) < LEAST_LABELS or len(training) < LEAST_TRAINING:
        raise InvalidRequest(
            f"{len(held_out):,} labelled answers would be held out and {len(training):,} would be seen by the writer; "
            f"{LEAST_LABELS} and {LEAST_TRAINING} are needed. Answers to one question are on one side.",
            hint="Label more answers, or change the share that is held out: --held-out SHARE",
        )
    return AlignmentMaterial(
        judge=judge, model=model, question=kept.question, training=_by_id(training), held_out=_by_id(held_out)
    )


def _answers(
    folder: ResultsFolder, file: Evaluation, judge: Rubric, labels: Sequence[KeptLabel]
) -> list[LabelledAnswer]:
    """Return the labelled answers that the judge can be asked about."""
    rows, calls = folder.rows(), read(folder.calls)
    wanted = {
        (model, each.example, each.repeat): each
        for model in file.models
        for each in wanted_of(file, rows, model)
    }
    given, marks = answered(file, calls, wanted, rows), folder.scores(judge.label)
    found = []
    for label in labels:
        if label.key not in given:
            continue
        one = given[label.key]
        try:
            judge.calls(one)
        except NotScored:
            continue
        mark = marks.get(label.key)
        if mark is not None and not is_answered(mark):
            mark = None
        found.append(LabelledAnswer(label=label, answered=_plain(one), mark=mark))
    return found


def is_answered(mark: KeptScore) -> bool:
    """Return whether the judge answered: a refusal is an answer, and a call that failed is none."""
    return mark.value is not None or not mark.reason.startswith("the judge did not answer")


def _plain(given: Answered) -> Answered:
    """Return an answer with what a rubric shows to its model, and no more."""
    return Answered(text=given.text, row=given.row, messages=given.messages)


def _by_id(answers: Sequence[LabelledAnswer]) -> dict[str, LabelledAnswer]:
    return {f"{each.label.model}/{each.label.example}/{each.label.repeat}": each for each in answers}


# What the judge is asked, and what the writer reads -------------------------------------------------------------


def judge_settings(found: AlignmentMaterial) -> dict[str, Any]:
    """Return the settings of a call to the judge."""
    return {**found.model.settings, **found.judge.settings}


def with_criterion(judge: Rubric, criterion: str) -> Rubric:
    """Return the judge with another criterion."""
    return replace(judge, criterion=criterion)


def longest(judge: Rubric) -> int:
    """Return the most characters of a criterion that is tried."""
    return max(MOST_CHARACTERS, 3 * len(judge.criterion))


def named_mark(judge: Rubric, value: float) -> str:
    """Return a value from 0 to 1 as a mark with its meaning.

    >>> named_mark(Rubric(model="j", criterion="c", scale=["wrong", "right"]), 1.0)
    '2 (right)'
    """
    mark = 1 + value * (len(judge.scale) - 1)
    place = round(mark)
    return f"{place} ({judge.scale[place - 1]})" if abs(mark - place) < 1e-6 else f"{mark:.2g}"


def shown_inputs(judge: Rubric, given: Answered) -> dict[str, Any]:
    """Return what the writer reads of an answer."""
    return {
        tag: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for tag, value in judge.material(given)
        if value
    }


# The most that an alignment costs --------------------------------------------------------------------------------


def cost_of(body: NewAlignment, found: AlignmentMaterial, judge: Endpoint, writer: Endpoint) -> AlignmentCost:
    """Return the most that an alignment costs. Raises InvalidRequest if a budget cannot be kept."""
    texts = body.rounds
    if body.optimizer == "gepa":  # a step tries a few answers with the old and the new text before all
        texts += -(-2 * (body.rounds + 1) * GEPA_STEP // len(found.training)) + 1
    parts = [
        _planned(f"{judge.name} judges, training labels", judging(found, found.training, texts), judge.price),
        _planned(f"{writer.name} writes", _writing(body, found), writer.price),
        _planned(f"{judge.name} judges, held-out labels", judging(found, found.held_out), judge.price),
    ]
    if old := _without_mark({**found.training, **found.held_out}):
        parts.append(_planned(f"{judge.name} judges, old criterion", judging(found, old), judge.price))
    money = [each.money for each in parts if each.money is not None]
    currencies = {each.price.currency for each in (judge, writer) if each.price}
    total = sum(money) if len(money) == len(parts) and len(currencies) == 1 else None
    _check_budget(body, found, judge, writer)
    return AlignmentCost(
        judge=found.judge.label, question=found.question, training=len(found.training), held_out=len(found.held_out),
        calls=sum(each.calls or 0 for each in parts), parts=parts, money=total,
        tokens=sum((each.input_tokens or 0) + (each.output_tokens or 0) for each in parts),
        currency=min(currencies, default="USD"),
        without_price=sorted({each.name for each in (judge, writer) if each.price is None}),
    )  # fmt: skip


def held_out_most(found: AlignmentMaterial, judge: Endpoint) -> float:
    """Return the most that the comparison on held-out labels costs; 0 without a price."""
    if judge.price is None:
        return 0.0
    new, old = judging(found, found.held_out), judging(found, _without_mark(found.held_out))
    return judge.price.most_of(new[1]) + judge.price.most_of(old[1])


def _without_mark(answers: Mapping[str, LabelledAnswer]) -> dict[str, LabelledAnswer]:
    return {id: each for id, each in answers.items() if each.mark is None}


def _check_budget(body: NewAlignment, found: AlignmentMaterial, judge: Endpoint, writer: Endpoint) -> None:
    if body.money is None:
        return
    without = sorted({each.name for each in (judge, writer) if each.price is None})
    if without:
        raise InvalidRequest(
            f"A budget of money needs a price of each model: {', '.join(without)} has none.",
            hint="Add the endpoint with --price-input and --price-output: genops endpoints add",
        )
    if len({each.price.currency for each in (judge, writer) if each.price}) > 1:
        raise InvalidRequest(
            "The prices of the judge and of the writer are in two currencies.",
            hint="Give all prices in one currency, or leave out the budget.",
        )
    if not {"max_tokens", "max_completion_tokens"} & judge_settings(found).keys():
        raise InvalidRequest(
            f"The judge {found.judge.label!r} has no max_tokens, so its cost has no bound.",
            hint="Evaluate with max_tokens in the settings of the judge, or leave out the budget.",
        )
    most = held_out_most(found, judge)
    if most >= body.money:
        raise InvalidRequest(
            f"The comparison on {len(found.held_out):,} held-out labels alone may cost "
            f"{money_text(most, judge.price.currency if judge.price else 'USD', 'most')}: nothing of the "
            f"budget of {body.money:g} is left for the optimizer.",
            hint="Give more money.",
        )


def judging(
    found: AlignmentMaterial, answers: Mapping[str, LabelledAnswer], texts: int = 1
) -> tuple[int, Usage]:
    """Return the number of calls that judge answers by the longest criterion, and the most tokens of them."""
    judge = with_criterion(found.judge, "x" * longest(found.judge))
    times = texts * judge.judgements
    settings = judge_settings(found)
    each = [most_tokens(turns, settings) for one in answers.values() for turns in judge.calls(one.answered)]
    return len(each) * times, Usage(
        input=sum(one.input for one in each) * times, output=sum(one.output for one in each) * times
    )


def _writing(body: NewAlignment, found: AlignmentMaterial) -> tuple[int, Usage]:
    """Return the calls to the writer: it reads all training answers with marks and labels."""
    size = _AROUND + 2 * longest(found.judge)
    size += sum(
        len(msgspec.json.encode(shown_inputs(found.judge, each.answered))) + _EACH
        for each in found.training.values()
    )
    calls = body.rounds
    return calls, Usage(input=size * calls, output=WRITER_TOKENS * calls)


def _planned(purpose: str, given: tuple[int, Usage], price: Price | None) -> PlannedCalls:
    calls, most = given
    return PlannedCalls(
        model=purpose, calls=calls, input_tokens=most.input, output_tokens=most.output,
        money=price.most_of(most) if price else None, currency=price.currency if price else "USD",
    )  # fmt: skip
