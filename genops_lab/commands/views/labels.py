"""Labels as documents."""

from __future__ import annotations

from collections.abc import Sequence

from genops_lab.genai.evaluations.models import PlannedCalls, ScoreEstimate
from genops_lab.genai.labels.models import (
    CorrectedMean,
    FailureMode,
    FailureModes,
    JudgeAgreement,
    LabelQueue,
    LabelReport,
)
from genops_lab.runtime.money import money_text

from ..document import Block, Cell, Column, Document, Facts, Note, Row, Table, moment


def queues(found: Sequence[LabelQueue]) -> Document:
    """``labels list``."""
    rows: list[Row] = [
        [
            each.name,
            each.question.name if each.question else Cell(each.problem, "bad"),
            f"{each.labelled:,} of {each.items:,}",
            each.experiment,
            moment(each.created_at),
        ]
        for each in found
    ]
    columns = [
        Column("queue"), Column("question", shrinks=True), Column("labelled", right=True),
        Column("experiment", shrinks=True, leaves=1), Column("made"),
    ]  # fmt: skip
    empty = "There are no labels. Begin: genops labels begin RESULT --sample 50"
    return Document([Table(columns, rows, empty=empty)])


def begun(queue: LabelQueue) -> Document:
    """``labels begin`` and ``labels add``."""
    choices = ", ".join(queue.question.choices) if queue.question else ""
    facts = [("queue", queue.name), ("answers", f"{queue.items:,}"), ("labelled", f"{queue.labelled:,}")]
    if choices:
        facts.append(("choices", choices))
    return Document(
        [Facts(facts), Note("Label them on the page Labels of JupyterLab, or in MLflow's review queues.")]
    )


def report(shown: LabelReport) -> Document:
    """``labels show``."""
    queue = shown.queue
    facts = [
        ("queue", queue.name),
        ("labelled", f"{queue.labelled:,} of {queue.items:,}"),
        ("raters", ", ".join(f"{each.rater} {each.labels:,}" for each in shown.raters) or "none"),
    ]
    if shown.between.value is not None:
        facts.append(
            ("agreement of raters", f"alpha {_number(shown.between.value)}{_interval(shown.between)}")
        )
    blocks: list[Block] = [Facts(facts)]
    if shown.judges:
        columns = [
            Column("scorer"), Column("kappa", right=True), Column("95 % interval", right=True),
            Column("equal", right=True), Column("most common label", right=True), Column("labels", right=True),
            Column("not marked", right=True),
        ]  # fmt: skip
        blocks.append(
            Table(columns, [judge_row(each) for each in shown.judges], title="Scorers beside labels")
        )
        blocks += [
            Note(f"{each.scorer}: {each.verdict}", "good" if each.calibrated else "bad")
            for each in shown.judges
            if each.verdict
        ]
    if shown.corrected:
        columns = [Column("model"), Column("against"), Column("scorer"), Column("by the judge", right=True)]
        columns += [Column("corrected", right=True), Column("95 % interval", right=True)]
        blocks.append(
            Table(columns, [_mean(each) for each in shown.corrected], title="Means, corrected by labels")
        )
    blocks += [Note(each, "busy") for each in shown.notes]
    if shown.is_newer:
        blocks.append(
            Note(
                f"The evaluation's report lacks these labels. Update it: genops evaluate score {queue.evaluation}"
            )
        )
    return Document(blocks)


def failures(found: FailureModes) -> Document:
    """``labels failures``."""
    modes: list[Row] = [
        [
            each.name,
            f"{len(each.trace_ids):,} of {found.read:,}",
            _share(each.share.value),
            _shares(each.share),
        ]
        for each in found.modes
    ]
    columns = [Column("failure mode"), Column("answers", right=True), Column("share", right=True)]
    empty = "No failure mode is named yet. Name a group: genops labels failures QUEUE --name NAME --group 1"
    blocks: list[Block] = [
        Table([*columns, Column("95 % interval", right=True)], modes, title="Failure modes", empty=empty)
    ]
    if found.suggested:
        rows: list[Row] = [
            [str(at), each.name or ", ".join(each.words), f"{len(each.trace_ids):,}", "; ".join(each.notes)]
            for at, each in enumerate(found.suggested, start=1)
        ]
        columns = [
            Column("group"),
            Column("in common"),
            Column("notes", right=True),
            Column("such as", shrinks=True),
        ]
        blocks.append(Table(columns, rows, title="Suggested groups of notes"))
    return Document(blocks)


def cost(found: PlannedCalls) -> str:
    """Say what a model's suggestion costs at most."""
    money = (
        "the price is unknown"
        if found.money is None
        else f"at most {money_text(found.money, found.currency, 'most')}"
    )
    output = found.output_tokens or 0
    return f"One call to {found.model}: at most {found.input_tokens:,} tokens in and {output:,} out, {money}."


def failure_mode(mode: FailureMode, found: FailureModes) -> Document:
    """``labels failures QUEUE MODE``."""
    notes = {each.trace_id: each.note for each in found.answers}
    share = f"{len(mode.trace_ids):,} of {found.read:,}, {_share(mode.share.value)} ({_shares(mode.share)})"
    facts = [("failure mode", mode.name), ("description", mode.description), ("answers", share)]
    rows: list[Row] = [[each, notes.get(each, "")] for each in mode.trace_ids]
    return Document([Facts(facts), Table([Column("trace"), Column("note", shrinks=True)], rows)])


def _shares(each: ScoreEstimate) -> str:
    return "" if each.low is None or each.high is None else f"{each.low:.0%} to {each.high:.0%}"


def judge_row(each: JudgeAgreement) -> Row:
    """Return a scorer's row beside labels."""
    return [
        each.scorer, _number(each.kappa.value), _interval(each.kappa).strip(" ()"), _share(each.rate),
        _share(each.base_rate), f"{each.kappa.n:,}", Cell(f"{each.not_marked:,}", "busy" if each.not_marked else ""),
    ]  # fmt: skip


def _mean(each: CorrectedMean) -> Row:
    return [
        each.model, each.against, each.scorer, _number(each.judged),
        _number(each.corrected.value) or "too few labels", _interval(each.corrected).strip(" ()"),
    ]  # fmt: skip


def _interval(each: ScoreEstimate) -> str:
    return "" if each.low is None or each.high is None else f" ({each.low:.2f} to {each.high:.2f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
