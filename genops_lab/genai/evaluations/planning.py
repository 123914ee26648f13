"""Say before the start what an evaluation asks, what it costs at most, what it can show, and what its rows have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from genops_lab.genai.endpoints.endpoint import most_tokens
from genops_lab.genai.endpoints.limits import Usage
from genops_lab.genai.scorers.base import Answered, Judge, NotScored
from genops_lab.genai.scorers.programs import Embeddings
from genops_lab.statistics.power import smallest_effect

from .duplicates import leaked, near_duplicates
from .evaluation_file import Evaluation, Model, embedding_models
from .models import PlannedCalls, PlannedEvaluation, ShownDifference
from .process import clusters_of, wanted_of
from .report_words import named
from .rows import Rows, fields_of, read_all_rows

#: Shares of rows on which two models may differ.
_DIFFERING = (0.05, 0.1, 0.2, 0.4)
#: Characters of a token, for the answers that judges read.
_CHARACTERS = 4
_LEVEL = 0.05


def planned(file: Evaluation, rows: Rows, training: Path | None) -> PlannedEvaluation:
    """Return the plan of an evaluation. Blocks. Raises NotFound, InvalidRequest."""
    calls = [_calls(name, model, _asked(file, rows, name)) for name, model in file.models.items()]
    asked = file.judges | embedding_models(file.scorers)
    judged = [
        _calls(name, model, judging) for name, model in asked.items() if (judging := _judged(file, rows, name))
    ]  # fmt: skip
    examples = len(set(clusters_of(file, rows.by_id).values())) or len(rows.by_id)
    tests = max(1, (len(file.models) - 1) * len(file.scorers))
    notes = data_notes(file, rows, training)
    if file.converses:  # their number depends on what models say
        calls = [replace(each, output_tokens=None, money=None) for each in calls]
        notes.append(
            "A row is a conversation of several calls: these are its first calls alone, without a bound."
        )
    return PlannedEvaluation(
        name=file.metadata.name, digest=rows.digest, rows=len(rows.by_id), repeats=file.repeats, models=calls,
        judges=judged, shows=_shows(examples, tests) if len(file.models) > 1 else [], tests=tests,
        clusters=examples if file.cluster else 0, notes=notes,
    )  # fmt: skip


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


def _asked(file: Evaluation, rows: Rows, name: str) -> Iterator[Usage]:
    for wanted in wanted_of(file, rows.by_id, name):
        yield most_tokens(wanted.messages, wanted.settings)


def _judged(file: Evaluation, rows: Rows, name: str) -> list[Usage]:
    """Return the most tokens of each call of a judge, for answers as long as they may be."""
    found = []
    for scorer in file.scorers:
        if not isinstance(scorer, Judge | Embeddings) or scorer.asks != name:
            continue
        own = {**(file.judges[name].settings if name in file.judges else {}), **scorer.settings}
        for at, model in enumerate(file.models):
            for wanted in wanted_of(file, rows.by_id, model):
                text = "x" * (_CHARACTERS * most_tokens([], wanted.settings).output)
                answered = Answered(
                    text=text, row=rows.by_id[wanted.example], messages=wanted.messages, against=text if at else None
                )  # fmt: skip
                try:
                    turns = scorer.calls(answered)
                except NotScored:
                    continue
                found += [most_tokens(each, own) for each in turns] * scorer.judgements
    return found


def _calls(name: str, model: Model, calls: Iterator[Usage] | Sequence[Usage]) -> PlannedCalls:
    each = list(calls)
    input, output = sum(one.input for one in each), sum(one.output for one in each)
    is_bounded = all(one.output for one in each)
    most = Usage(input=input, output=output)
    return PlannedCalls(
        model=name, calls=len(each), input_tokens=input, output_tokens=output if is_bounded else None,
        money=model.price.most_of(most) if model.price and is_bounded else None,
    )  # fmt: skip


def _shows(examples: int, tests: int) -> list[ShownDifference]:
    """Return the smallest difference that is shown with a probability of 80 %, by how often the models differ."""
    found = []
    for differing in _DIFFERING:
        effect = smallest_effect(examples, math.sqrt(differing), alpha=_LEVEL / tests)
        shown = effect if effect is not None and effect <= differing else None
        found.append(ShownDifference(differing=differing, difference=shown))
    return found


def training_of(file: Evaluation, folder: str) -> Path | None:
    """Return the path of the training data that a file names."""
    return Path(folder, file.training) if file.training else None
