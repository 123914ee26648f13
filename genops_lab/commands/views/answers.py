"""Evaluations of answers as documents and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genops_lab.gates.messages import markdown_cell
from genops_lab.genai.evaluations.models import (
    AnswerEvaluation,
    AnswersReport,
    ComparedModels,
    ComparedResults,
    ComparedSlice,
    ModelAnswers,
    PlannedCalls,
    PlannedEvaluation,
    ScoredModel,
    ScoreEstimate,
    ShownDifference,
)
from genops_lab.genai.evaluations.paid_calls import paid_calls
from genops_lab.runtime.money import money_text

from ..document import Block, Cell, Column, Document, Facts, Note, Row, Table, Tone, moment

_TONES: dict[str, Tone] = {"better": "good", "worse": "bad"}
#: The examples that a report names.
_NAMED = 10


def evaluations(found: Sequence[AnswerEvaluation]) -> Document:
    """``evaluate list``."""
    rows: list[Row] = [
        [
            each.id,
            ", ".join(model.model for model in each.models),
            f"{each.rows:,}",
            f"{sum(model.answered for model in each.models):,}",
            Cell(f"{each.missing:,}", "bad" if each.missing else ""),
            each.stage,
            moment(each.created_at),
        ]
        for each in found
    ]
    columns = [
        Column("result"),
        Column("models", shrinks=True),
        Column("rows", right=True),
        Column("answers", right=True),
        Column("missing", right=True),
        Column("stage", leaves=1),
        Column("made"),
    ]
    empty = "There are no evaluations of answers. Make one: genops evaluate FILE"
    return Document([Table(columns, rows, empty=empty)])


def report(shown: AnswersReport) -> Document:
    """``evaluate FILE`` and ``evaluate show``."""
    evaluation = shown.evaluation
    repeats = f", {evaluation.repeats} answers to each" if evaluation.repeats > 1 else ""
    blocks: list[Block] = [
        Facts(
            [
                ("result", evaluation.id),
                ("rows", f"{evaluation.rows:,}{repeats}"),
                ("data", f"{evaluation.data}@{evaluation.digest[:8]}"),
                *([("target", evaluation.target)] if evaluation.target else []),
            ]
        ),
        Table(
            [
                Column("model"), Column("answers", right=True), Column("failed", right=True),
                Column("tokens", right=True), Column("cost", right=True), Column("median time", right=True),
            ],
            [_model(each) for each in evaluation.models],
            title="Answers",
        ),
    ]  # fmt: skip
    if shown.report is not None:
        blocks = [*(Note(each) for each in shown.report.sentences), *blocks]
    blocks += [Note(line, "bad") for line in problems(evaluation)]
    if shown.report is None:
        return Document(
            [*blocks, Note(f"Not scored yet. Go on with: genops evaluate resume {evaluation.id}")]
        )
    columns = [
        Column("model"),
        Column("scorer"),
        Column("mean", right=True),
        Column("95 % interval", right=True),
    ]
    columns += [Column("answers", right=True), Column("not scored", right=True)]
    blocks.append(Table(columns, [_scored(each) for each in shown.report.scored], title="Scores"))
    repeated = [row for each in shown.report.scored if (row := _repeated(each))]
    if repeated:
        columns = [
            Column("model"),
            Column("scorer"),
            Column("pass@k", right=True),
            Column("pass^k", right=True),
        ]
        columns += [
            Column(name, right=True) for name in ("between rows", "between answers", "between judgements")
        ]
        blocks.append(Table(columns, repeated, title="Repeats"))
    blocks += _differences(shown.report.compared)
    return Document([*blocks, *(Note(each) for each in evaluation.notes)])


def comparison(found: ComparedResults) -> Document:
    """``evaluate show --against``."""
    said = [Note(each) for each in found.sentences]
    return Document([*said, *_differences(found.compared), *(Note(each) for each in found.notes)])


def _differences(compared: Sequence[ComparedModels]) -> list[Block]:
    if not compared:
        return []
    columns = [Column("model"), Column("against"), Column("scorer"), Column("difference", right=True)]
    columns += [Column("95 % interval", right=True), Column("p", right=True), Column("verdict")]
    columns += [Column("worse", right=True), Column("better", right=True)]
    blocks: list[Block] = [Table(columns, [_compared(each) for each in compared], title="Differences")]
    blocks += [Note(line) for each in compared if (line := _named(each))]
    slices = [_slice(each, part) for each in compared for part in each.slices]
    if slices:
        columns = [Column("model"), Column("scorer"), Column("where"), Column("rows", right=True)]
        columns += [Column("difference", right=True), Column("95 % interval", right=True), Column("verdict")]
        blocks.append(Table(columns, slices, title="By slice"))
    return blocks


def plan(found: PlannedEvaluation) -> Document:
    """``evaluate plan``."""
    repeats = f", {found.repeats} answers to each" if found.repeats > 1 else ""
    columns = [Column("model"), Column("calls", right=True), Column("input tokens", right=True)]
    columns += [Column("output tokens", right=True), Column("cost", right=True)]
    rows = [_planned(each, "") for each in found.models]
    rows += [_planned(found.user, " (user)")] if found.user else []
    rows += [_planned(each, " (judge)") for each in found.judges]
    blocks: list[Block] = [
        Facts([("rows", f"{_count(found.rows, 'not known')}{repeats}"), ("digest", found.digest[:8])]),
        Table(columns, rows, title="At most"),
    ]
    if found.shows:
        many = f", corrected for {found.tests} comparisons" if found.tests > 1 else ""
        columns = [
            Column("rows on which the models differ", right=True),
            Column("smallest difference", right=True),
        ]
        if found.asked_until_known:
            columns.append(Column("rows asked until then", right=True))
            columns.append(Column("rows asked if the models are equal", right=True))
        shown = [_shown(each)[: len(columns)] for each in found.shows]
        blocks.append(Table(columns, shown, title=f"Shown with a probability of 80 %{many}"))
        if few := [each.differing for each in found.shows if each.difference is None]:
            share = _percent(max(few))
            blocks.append(
                Note(f"So few rows show no difference of models that differ on {share} of them or fewer.")
            )
    if found.clusters:
        blocks.append(
            Note(f"These differences are for {found.clusters:,} clusters whose rows tell the same.")
        )
    blocks += [Note(found.keys)] if found.keys else []
    return Document([*blocks, *(Note(each, "bad") for each in [*found.problems, *found.notes])])


def _planned(each: PlannedCalls, more: str) -> Row:
    return [
        each.model + more, _count(each.calls, "not known"), _count(each.input_tokens, "not known"),
        _count(each.output_tokens, "no bound"),
        _money(each.money, each.currency),
    ]  # fmt: skip


def _money(money: float | None, currency: str) -> str:
    return "not known" if money is None else money_text(money, currency)


def _count(count: int | None, otherwise: str) -> str:
    return otherwise if count is None else f"{count:,}"


def _shown(each: ShownDifference) -> Row:
    size = "too few rows" if each.difference is None else f"{100 * each.difference:.1f} points"
    rows = [_count(each.rows, "all"), _count(each.rows_if_same, "all")]
    return [_percent(each.differing), size, *rows]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def problems(evaluation: AnswerEvaluation) -> list[str]:
    """Return what is missing, a sentence each."""
    found = []
    for each in evaluation.models:
        if each.failed:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.failures.items())
            have = "call has" if each.failed == 1 else "calls have"
            found.append(
                f"{each.model}: {each.failed:,} {have} no answer ({kinds}). "
                f"That counts as neither right nor wrong. The last failure: {each.message}"
            )
        if each.stopped:
            found.append(f"{each.model}: {each.stopped}")
        found += paid_calls(each)
    if evaluation.missing and evaluation.stage == "done":
        found.append(f"Ask for the missing answers: genops evaluate resume {evaluation.id}")
    return found


def markdown(shown: AnswersReport) -> str:
    """Return the report for a pull request."""
    evaluation = shown.evaluation
    lines = [f"### Evaluation {_md(evaluation.name)}", ""]
    if shown.report is not None and shown.report.sentences:
        lines += [*(f"- {_md(each)}" for each in shown.report.sentences), ""]
    lines += [f"{evaluation.rows:,} rows, digest `{evaluation.digest[:8]}`, result `{evaluation.id}`", ""]
    lines += ["| model | answers | failed | tokens | cost | median time |", "|---|---:|---:|---:|---:|---:|"]
    lines += [_line(_model(each)) for each in evaluation.models]
    if shown.report is not None:
        lines += ["", "| model | scorer | mean | 95 % interval | answers | not scored |"]
        lines += ["|---|---|---:|---:|---:|---:|"]
        lines += [_line(_scored(each)) for each in shown.report.scored]
        if shown.report.compared:
            lines += [
                "",
                "| model | against | scorer | difference | 95 % interval | p | verdict | worse | better |",
            ]
            lines += ["|---|---|---|---:|---:|---:|---|---:|---:|"]
            lines += [_line(_compared(each)) for each in shown.report.compared]
        slices = [_slice(each, part) for each in shown.report.compared for part in each.slices]
        if slices:
            lines += ["", "| model | scorer | where | rows | difference | 95 % interval | verdict |"]
            lines += ["|---|---|---|---:|---:|---:|---|", *map(_line, slices)]
    said = [*problems(evaluation), *evaluation.notes]
    return "\n".join([*lines, *([""] if said else []), *(f"- {_md(each)}" for each in said), ""]) + "\n"


def _line(row: Row) -> str:
    return "| " + " | ".join(_md(each.text if isinstance(each, Cell) else each) for each in row) + " |"


def _md(text: str) -> str:
    """Return text for a pull request: words of endpoints and rows become no link, no picture, and call nobody.

    >>> _md("see [this](http://x) @all | 1")
    'see \\\\[this\\\\](http://x) &#64;all \\\\| 1'
    """
    return markdown_cell(text).replace("@", "&#64;")


def _model(each: ModelAnswers) -> Row:
    return [
        each.model,
        f"{each.answered:,} of {each.wanted:,}",
        Cell(f"{each.failed:,}", "bad" if each.failed else ""),
        f"{each.spent.total:,}" if each.spent.known else "unknown",
        _money(each.money, each.currency),
        "" if each.latency_s is None else f"{each.latency_s:.2f} s",
    ]


def _scored(each: ScoredModel) -> Row:
    return [
        each.model, each.scorer, _number(each.mean.value), _interval(each.mean), f"{each.answers:,}",
        Cell(f"{each.not_scored:,}", "busy" if each.not_scored else ""),
    ]  # fmt: skip


def _compared(each: ComparedModels) -> Row:
    return [
        each.model, each.against, each.scorer, _number(each.difference.value), _interval(each.difference),
        f"{each.p:.2g}", Cell(each.verdict, _TONES.get(each.verdict, "dim")), f"{len(each.worse):,}",
        f"{len(each.better):,}",
    ]  # fmt: skip


def _repeated(each: ScoredModel) -> Row | None:
    spreads = (each.between, each.within, each.judging)
    if all(spread is None for spread in spreads):
        return None
    chances = ["" if found is None else _number(found.value) for found in (each.pass_at_k, each.pass_hat_k)]
    return [each.model, each.scorer, *chances, *map(_number, spreads)]


def _slice(each: ComparedModels, part: ComparedSlice) -> Row:
    return [
        each.model, each.scorer, f"{part.column} {part.value}", f"{part.difference.n:,}",
        _number(part.difference.value), _interval(part.difference), Cell(part.verdict, _TONES.get(part.verdict, "dim")),
    ]  # fmt: skip


def _named(each: ComparedModels) -> str:
    if not each.worse or each.new_failures is not None:  # the sentences name new failures
        return ""
    more = f" and {len(each.worse) - _NAMED:,} more" if len(each.worse) > _NAMED else ""
    return f"{each.model} is worse by {each.scorer} on: {', '.join(each.worse[:_NAMED])}{more}"


def _interval(each: ScoreEstimate) -> str:
    return "" if each.low is None or each.high is None else f"{_number(each.low)} to {_number(each.high)}"


def _number(value: float | None) -> str:
    """Return a score, a small one such as a cost with three digits.

    >>> _number(0.5), _number(1234.5), _number(0.0000195), _number(None)
    ('0.500', '1,234.5', '0.0000195', '')
    """
    if value is None:
        return ""
    if 1e-9 < abs(value) < 0.001:
        return f"{value:.{2 - math.floor(math.log10(abs(value)))}f}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
