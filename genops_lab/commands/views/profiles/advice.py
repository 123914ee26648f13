"""What a trace's problems are, those that cost most first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...document import Block, Cell, Column, Lines, Note, Row, Table, Tone, microseconds, share

if TYPE_CHECKING:
    from genops_lab.profiling.models import Advice, ProfileSummary

_TONES: dict[str, Tone] = {"high": "bad", "medium": "busy", "low": "dim"}


def advice_blocks(summary: ProfileSummary) -> list[Block]:
    """A table of the problems, then what was seen of each and what to change. Nothing where there is none."""
    found = summary.advice
    if not found:
        return []
    rows: list[Row] = [
        [
            Cell(each.severity, _TONES[each.severity]),
            each.code,
            each.title,
            microseconds(each.saving_us) if each.saving_us else "",
            share(each.saving_us, _whole_us(summary, each)) if each.saving_us else "",
        ]
        for each in found
    ]
    columns = [
        Column("severity"),
        Column("code"),
        Column("problem", shrinks=True),
        Column("saves at most", right=True),
        Column("of the trace", right=True),
    ]
    title = "Advice on the part of the trace that could be read" if summary.incomplete else "Advice"
    blocks: list[Block] = [Table(columns, rows, title=title)]
    for each in found:
        rank = f" (rank {each.rank})" if each.rank is not None and len(summary.ranks) > 1 else ""
        blocks.append(Note(f"{each.code}{rank}: {each.evidence}"))
        lines = [each.suggestion, *each.code_hint.splitlines()]
        lines += [f"{place.where} {(place.text or place.function).strip()}" for place in each.places]
        blocks.append(Lines([f"  {line.rstrip()}" for line in lines if line]))
    return blocks


def _whole_us(summary: ProfileSummary, of: Advice) -> float:
    """Of what an advice's saving is a part: the longest device of its rank, or of all ranks where it compares them;
    without devices the host's span of a rank."""
    everywhere = of.rank is None or of.code == "straggler"
    spans = [each.span_us for each in summary.devices if everywhere or each.rank == of.rank]
    return max(spans, default=summary.cpu.span_us / max(1, len(summary.ranks)))
