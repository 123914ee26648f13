"""Say before the start what an evaluation asks, what it costs at most, what it can show, and what its rows have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genops_lab.genai.endpoints.endpoint import most_tokens
from genops_lab.genai.endpoints.limits import Usage
from genops_lab.genai.scorers.base import Answered, Judge, NotScored
from genops_lab.genai.scorers.programs import Embeddings

from .asking import Wanted
from .asking_models import clusters_of, wanted_of
from .duplicates import leaked, near_duplicates
from .evaluation_file import Evaluation, Model, embedding_models
from .harness_file import Harness
from .models import PlannedCalls, PlannedEvaluation, ShownDifference
from .report_messages import named
from .rows import Rows, fields_of, read_all_rows, turns_in
from .stopping import looks

#: Shares of rows on which two models may differ.
_DIFFERING = (0.05, 0.1, 0.2, 0.4)
#: Characters of a token, for the answers that judges read.
_CHARACTERS = 4
_LEVEL = 0.05


def planned(file: Evaluation, rows: Rows, training: Path | None) -> PlannedEvaluation:
    """Return the plan of an evaluation. Blocks. Raises NotFound, InvalidRequest."""
    if file.harness:
        return _of_harness(file, file.harness, rows)
    talks = {name: [_talk(file, rows.by_id[each.example], each) for each in wanted_of(file, rows.by_id, name)]
             for name in file.models}  # fmt: skip
    calls = [_planned(name, file.models[name], [each.model for each in own]) for name, own in talks.items()]
    judged = [
        _planned(name, model, judging)
        for name, model in (file.judges | embedding_models(file.scorers)).items()
        if (judging := _judged(file, rows, name, talks))
    ]
    user = file.conversation.user
    asked_user = [each.user for own in talks.values() for each in own if each.user is not None]
    examples = len(set(clusters_of(file, rows.by_id).values())) or len(rows.by_id)
    known = [each for each in file.scorers if each.bounds is not None or not file.stop_when_known]
    tests = max(1, (len(file.models) - 1) * len(known))
    shows = (
        _shows_by_looks(file, examples, len(rows.by_id), tests)
        if file.stop_when_known
        else _shows(examples, tests)
    )
    return PlannedEvaluation(
        name=file.metadata.name, digest=rows.digest, rows=len(rows.by_id), repeats=file.repeats, models=calls,
        judges=judged, user=_planned(user.model, file.judges[user.model], asked_user) if user else None,
        shows=shows if len(file.models) > 1 else [], tests=tests, asked_until_known=file.stop_when_known,
        clusters=examples if file.cluster else 0, notes=[*data_notes(file, rows, training), *_not_known(file)],
    )  # fmt: skip


def _of_harness(file: Evaluation, harness: Harness, rows: Rows) -> PlannedEvaluation:
    """Return what is known before a task of another harness runs: its rows at most, where the file limits them."""
    nothing = [
        PlannedCalls(model=name, calls=None, input_tokens=None, output_tokens=None, money=None)
        for name in file.models
    ]
    notes = ["The task has prompts of its own, so its calls, tokens and cost are not known before it runs."]
    if harness.limit:
        answers = harness.limit * file.repeats
        notes.append(f"Each model gives at most {answers:,} answers, those to {harness.limit:,} rows.")
    else:
        notes.append("Its rows are not known either. Try it with few of them: harness: {limit: 10}")
    return PlannedEvaluation(
        name=file.metadata.name, digest=rows.digest, rows=harness.limit, repeats=file.repeats, models=nothing,
        judges=[], shows=[], tests=1, notes=notes,
    )  # fmt: skip


def _not_known(file: Evaluation) -> list[str]:
    """Say what has no bound, and why."""
    found = []
    if file.tools:
        most = file.conversation.most_steps
        found.append(
            f"A model that uses tools is asked at most {most:,} times for each answer. The length of the tools' "
            "answers is not known, and so are the input tokens and the cost."
        )
    if file.attached:
        found.append("The tokens of pictures and PDFs are not known before the start.")
    return found


def data_notes(file: Evaluation, rows: Rows, training: Path | None) -> list[str]:
    """Say which rows are nearly the same, and which are in the training data. Raises NotFound, InvalidRequest."""
    fields = fields_of(file.all_messages) | {
        *filter(None, (file.conversation.history, file.conversation.turns))
    }
    texts = {
        id: "\n".join(str(value) for name, value in row.items() if name in fields or not fields)
        for id, row in rows.by_id.items()
    }
    found = []
    groups = [] if file.attached else near_duplicates(texts)  # texts about pictures may be the same
    if groups:
        count = sum(map(len, groups))
        hint = "" if file.cluster else " They are no independent examples, so intervals are too narrow."
        found.append(f"{count:,} rows are nearly the same as others, such as {named(groups[0])}.{hint}")
    if training is not None:
        seen = leaked(texts, read_all_rows(training))
        if seen:
            found.append(
                f"{len(seen):,} row{' is' if len(seen) == 1 else 's are'} in {training.name}: {named(list(seen))}. "
                f"The first is in its row {next(iter(seen.values())):,}."
            )
    return found


@dataclass(frozen=True)
class _Most:
    """The most that some calls use, in tokens. None: not known."""

    calls: int
    input: int | None
    output: int | None


@dataclass(frozen=True)
class _Talk:
    """The most that a conversation uses, of one answer or several.

    ``said``: its turns before the last answer, as long as they may be.
    """

    model: _Most
    user: _Most | None
    said: list[dict[str, Any]]


def _talk(file: Evaluation, row: dict[str, Any], wanted: Wanted) -> _Talk:
    """Return the most that is asked about a row. Each call has all earlier turns as its input."""
    plan, user = file.conversation, file.conversation.user
    texts = turns_in(row, plan.turns, wanted.example) if plan.turns else []
    answers = plan.most_turns if user else min(plan.most_turns, 1 + len(texts))
    first = most_tokens(wanted.messages, wanted.settings)
    written, instructed = 0, 0
    if user:
        written = most_tokens([], {**file.judges[user.model].settings, **user.settings}).output
        instructed = most_tokens([{"role": "system", "content": user.prompt}, row], {}).input
    next_turns = [_turn("user", written)] * answers if user else [_given(each) for each in texts]
    is_begun = not user or any(each["role"] == "user" for each in wanted.messages)
    later = [] if is_begun else [next_turns[0]]
    for at in range(answers):
        later += [_turn("assistant", first.output), *next_turns[: answers - 1][at : at + 1]]
    so_far, of_model, of_user = first.input, 0, list[int]()
    for turn, tokens in later:
        if turn["role"] == "assistant":
            of_model += so_far
        elif user:
            of_user.append(so_far + instructed)
        so_far += tokens
    # Without these bounds nobody knows how long the earlier turns are.
    is_known = bool((first.output or answers == 1) and (written or not user)) and not (
        file.tools or file.attached
    )
    calls = answers * (plan.most_steps if file.tools else 1)
    return _Talk(
        _Most(calls, of_model if is_known else None, first.output * calls or None),
        _Most(len(of_user), sum(of_user) if is_known else None, written * len(of_user) or None) if user else None,
        [*wanted.messages, *(turn for turn, _ in later[:-1])],
    )  # fmt: skip


def _turn(role: str, tokens: int) -> tuple[dict[str, Any], int]:
    """Return a turn that a model writes with so many tokens, and its tokens with the words around it."""
    return {"role": role, "content": "x" * (_CHARACTERS * tokens)}, _given("", role)[1] + tokens


def _given(text: str, role: str = "user") -> tuple[dict[str, Any], int]:
    """Return a turn of a text, and its tokens at most."""
    turn = {"role": role, "content": text}
    return turn, most_tokens([turn], {}).input


def _judged(file: Evaluation, rows: Rows, name: str, talks: Mapping[str, Sequence[_Talk]]) -> list[_Most]:
    """Return the most tokens of each call of a judge, for answers as long as they may be."""
    found = []
    for scorer in file.scorers:
        if not isinstance(scorer, Judge | Embeddings) or scorer.asks != name:
            continue
        own = {**(file.judges[name].settings if name in file.judges else {}), **scorer.settings}
        for at, model in enumerate(file.models):
            for wanted, talk in zip(wanted_of(file, rows.by_id, model), talks[model], strict=True):
                output = most_tokens([], wanted.settings).output
                text = "x" * (_CHARACTERS * output)
                answered = Answered(
                    text=text, row=rows.by_id[wanted.example], messages=talk.said, against=text if at else None
                )  # fmt: skip
                try:
                    turns = scorer.calls(answered)
                except NotScored:
                    continue
                is_known = talk.model.input is not None and output > 0
                for each in [most_tokens(messages, own) for messages in turns] * scorer.judgements:
                    found.append(_Most(1, each.input if is_known else None, each.output or None))
    return found


def _planned(name: str, model: Model, asked: Sequence[_Most]) -> PlannedCalls:
    input, output = _sum(each.input for each in asked), _sum(each.output for each in asked)
    price = model.price
    is_bounded = input is not None and output is not None
    return PlannedCalls(
        model=name, calls=sum(each.calls for each in asked), input_tokens=input, output_tokens=output,
        money=price.most_of(Usage(input=input or 0, output=output or 0)) if price and is_bounded else None,
        currency=price.currency if price else "USD", price=price,
    )  # fmt: skip


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum; None if one of the counts is not known."""
    found = 0
    for each in counts:
        if each is None:
            return None
        found += each
    return found


def _shows(examples: int, tests: int) -> list[ShownDifference]:
    """Return the smallest difference that is shown with a probability of 80 %, by how often the models differ."""
    from genops_lab.statistics.power import smallest_effect  # numpy: 40 ms, and an evaluation begins without

    found = []
    for differing in _DIFFERING:
        effect = smallest_effect(examples, math.sqrt(differing), alpha=_LEVEL / tests)
        shown = effect if effect is not None and effect <= differing else None
        found.append(ShownDifference(differing=differing, difference=shown))
    return found


def _shows_by_looks(file: Evaluation, examples: int, rows: int, tests: int) -> list[ShownDifference]:
    """Return the same for looks that stop when the difference is known. Simulated in some 0.2 s.

    examples: the rows, or the clusters of them.
    """
    from genops_lab.statistics.sequential_power import early_stop, smallest_shown  # numpy

    each_has = rows / examples
    at = sorted(
        {min(examples, math.ceil(each / each_has)) for each in looks([str(id) for id in range(rows)], {})}
    )
    options: dict[str, Any] = {"alpha": _LEVEL / tests, "is_finite": file.about == "these rows"}
    found = []
    for differing in _DIFFERING:
        shown, margin = smallest_shown(at, differing, **options), file.smallest_difference
        same = early_stop(at, differing, 0.0, margin=margin, **options) if margin else None
        found.append(
            ShownDifference(
                differing=differing, difference=None if shown is None else shown.difference,
                rows=None if shown is None else round(shown.examples * each_has),
                rows_if_same=None if same is None else round(same.examples * each_has),
            )
        )  # fmt: skip
    return found


def training_of(file: Evaluation, folder: str) -> Path | None:
    """Return the path of the training data that a file names."""
    return Path(folder, file.training) if file.training else None
