"""Scores of live traces as documents."""

from __future__ import annotations

from shlex import quote

from genops_lab.genai.evaluations.models import ScoreEstimate
from genops_lab.genai.online.models import OnlineScorer, OnlineScorers
from genops_lab.runtime.money import money_text

from ..document import Block, Column, Document, Facts, Note, Row, Table, moment


def scores(found: OnlineScorers) -> Document:
    """``traces score``."""
    if found.state == "off":
        then = f"genops traces score {found.deployment} --scorers FILE --sample 0.1"
        return Document([Note(f"No scorer looks at the traces of {found.deployment}. Begin: {then}")])
    facts = Facts(
        [
            ("deployment", found.deployment), ("state", found.state), ("since", moment(found.since)),
            ("sample", f"{100 * found.sample:g} % of the traces: {found.sampled:,} of {found.seen:,}"),
            ("cost today", _budget(found)), ("cost so far", _money(found.money, found.currency)),
        ]
    )  # fmt: skip
    columns = [
        Column("scorer", shrinks=True), Column("mean", right=True), Column("95 % interval"),
        Column("scored", right=True), Column("not scored", right=True), Column("waiting", right=True),
        Column("left out", right=True), Column("cost", right=True, leaves=1),
    ]  # fmt: skip
    blocks: list[Block] = [facts, Table(columns, [_row(each, found.currency) for each in found.scorers])]
    blocks += [
        Note(f"{each.scorer}, {count:,} not scored: {reason}")
        for each in found.scorers
        for reason, count in each.reasons.items()
    ]
    blocks += [Note(each) for each in found.sentences]
    query = quote(f"tags.deployment = '{found.deployment}'")
    blocks.append(Note(f"Read the traces: genops traces list --filter {query}"))
    return Document(blocks)


def _row(each: OnlineScorer, currency: str) -> Row:
    mean = each.mean
    return [
        each.scorer, "" if mean is None or mean.value is None else f"{mean.value:.3g}", _interval(mean),
        f"{each.scored:,}", f"{each.not_scored:,}", f"{each.waiting:,}", f"{each.left_out:,}",
        _money(each.money, currency),
    ]  # fmt: skip


def _interval(mean: ScoreEstimate | None) -> str:
    return (
        "" if mean is None or mean.low is None or mean.high is None else f"{mean.low:.3g} to {mean.high:.3g}"
    )


def _budget(found: OnlineScorers) -> str:
    spent = _money(found.money_today, found.currency)
    if found.money_per_day is None:
        return spent
    return f"{spent or _money(0.0, found.currency)} of {found.money_per_day:g} (UTC)"


def _money(value: float | None, currency: str) -> str:
    return "" if value is None else money_text(value, currency).strip()
