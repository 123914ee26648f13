"""Verdicts of gates as documents."""

from __future__ import annotations

from genops_lab.gates.messages import sentence
from genops_lab.gates.models import WORDS, GateReport, Promotion, Verdict

from ..document import SHORT_ID, Block, Cell, Column, Document, Facts, Note, Row, Table, Tone, moment

_TONES: dict[Verdict, Tone] = {
    "pass": "good",
    "fail": "bad",
    "not_enough_data": "busy",
    "cannot_be_checked": "busy",
}


def report_view(report: GateReport, *, whole: bool = False) -> Document:
    """``gates check``; ``gates explain`` shows the whole report."""
    rows: list[Row] = [
        [rule.name, Cell(WORDS[rule.verdict], _TONES[rule.verdict]), sentence(rule)] for rule in report.rules
    ]
    columns = [Column("rule", folds=True), Column("verdict"), Column("found", folds=True, narrowest=30)]
    blocks: list[Block] = [
        Note(report.headline, _TONES[report.verdict]),
        Table(columns, rows),
        *map(Note, report.notes),
    ]
    for rule in report.rules:
        if rule.too_small:
            blocks.append(Note(f"Groups too small for {rule.name}: {', '.join(rule.too_small)}."))
    if whole:
        blocks += _parts(report)
    data = [
        f"{each.name}@{each.digest[:12]}, {each.rows:,} rows, run {each.run[:SHORT_ID]}"
        for each in report.data
    ]
    blocks.append(
        Facts(
            [
                ("version", f"{report.model} {report.version}"),
                ("against", f"version {report.against}" if report.against else ""),
                *(("data", each) for each in data),
                ("gate file", f"{report.file} ({report.hash[:12]})"),
                ("commit", report.commit[:12]),
                ("judged", moment(report.at)),
            ]
        )
    )
    return Document(blocks)


def _parts(report: GateReport) -> list[Table | Note]:
    blocks: list[Table | Note] = []
    for rule in report.rules:
        if rule.slices:
            rows: list[Row] = [
                [each.name, f"{each.n:,}", Cell(WORDS[each.verdict], _TONES[each.verdict]), each.clause]
                for each in rule.slices
            ]
            columns = [
                Column("part"),
                Column("rows", right=True),
                Column("verdict"),
                Column("found", folds=True),
            ]
            blocks.append(Table(columns, rows, title=rule.name))
        if rule.method:
            p = "" if rule.p is None else f", p = {rule.p:.3g} at alpha = {rule.alpha:.3g}"
            blocks.append(Note(f"{rule.name}: {rule.method}, {rule.n:,} rows{p}.", "dim"))
        if rule.examples:
            blocks.append(Note(f"{rule.name}: rows that became worse: {', '.join(rule.examples)}.", "dim"))
    return blocks


def promotion_view(done: Promotion, name: str, version: str, alias: str) -> Document:
    """``models promote``."""
    if done.report is None:
        return Document([Note(f"{name}: the alias {alias} names version {version} already.")])
    found = report_view(done.report)
    moved = f"The alias {alias} of {name} now names version {done.report.version}."
    stays = f"The alias {alias} of {name} did not move."
    return Document([Note(moved if done.moved else stays, "good" if done.moved else "bad"), *found.blocks])
