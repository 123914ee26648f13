"""Two profiles side by side as a document."""

from __future__ import annotations

import math

from genops_lab.profiling.models import Change, Difference, Figure

from ...document import Block, Cell, Column, Document, Note, Row, Table, microseconds, share, size

SHOWN_CHANGES = 15
#: Smaller relative changes of time are not coloured.
_NOTICED = 0.01
#: Sums of fractions in another order differ by less.
_SAME = 1e-9
#: Counts of a step may be fractions; larger counts are rounded.
_WHOLE = 1000
#: FLOPs of this part of the compute time, or more, count as complete.
_ALL = 0.995
_NAMES = {
    "span": "span",
    "busy": "busy",
    "idle": "idle",
    "compute": "compute",
    "comm": "communication",
    "exposed_comm": "exposed communication",
    "memory": "copies and fills",
    "kernels": "GPU kernels",
    "idle_share": "idle share",
    "cpu_busy": "CPU busy",
    "flops": "FLOPs",
    "mfu": "MFU",
    "peak_memory": "peak of memory",
}
#: Figures of which more is better, or neither better nor worse.
_NOT_COSTS = {"span", "flops", "kernels", "mfu"}


def difference(found: Difference) -> Document:
    """``profiles diff``."""
    blocks: list[Block] = [Note(warning, "busy") for warning in found.warnings]
    rows: list[Row] = [
        [
            _NAMES.get(each.code, each.code),
            _figure(each, each.before) + _covered(each.covered_before),
            _figure(each, each.after) + _covered(each.covered_after),
            _changed_by(
                each.before,
                each.after,
                _figure(each, abs(each.after - each.before)),
                each.code not in _NOT_COSTS,
            ),
        ]
        for each in found.figures
    ]
    numbers = [Column(each, right=True) for each in ("before", "after", "change")]
    blocks.append(Table([Column("figure"), *numbers], rows, title=f"Times {_basis(found)}, over all devices"))
    for title, changes, of in (
        (
            "Operators",
            found.operators,
            ", their own CPU time and the device time of their GPU kernels together",
        ),
        ("GPU kernels", found.kernels, ""),
        ("Lines", found.lines, ""),
    ):
        changed = [
            each
            for each in changes
            if (each.before_us, each.before_count) != (each.after_us, each.after_count)
        ]
        if not changes:
            continue
        launched = any(each.before_with or each.after_with for each in changed)
        columns = [
            Column(title[:-1].lower(), shrinks=True),
            *([Column("grid × block", shrinks=True)] if launched else []),
            *numbers,
            Column("count", right=True),
            Column("", shrinks=True),
        ]
        more = f" ({SHOWN_CHANGES} of {len(changed):,})" if len(changed) > SHOWN_CHANGES else ""
        blocks.append(
            Table(
                columns,
                [_change(each, launched) for each in changed[:SHOWN_CHANGES]],
                empty="No change.",
                title=f"{title} by change{more}{of}",
            )
        )
    for said, codes in (
        ("Solved problems", found.advice_gone),
        ("New problems", found.advice_new),
        ("Problems in both", found.advice_kept),
    ):
        if codes:
            titles = [found.advice_titles.get(code, code) for code in codes]
            blocks.append(Note(f"{said}: {'; '.join(titles)}"))
    return Document(blocks)


def _basis(found: Difference) -> str:
    """Return what the times are of."""
    if found.measured:
        return "of all measured GPU kernels"
    if found.a_step:
        return f"a step ({found.before_steps} and {found.after_steps} steps)"
    return "of the whole trace"


def _change(found: Change, launched: bool) -> Row:
    count = f"{found.before_count:g}"
    if found.after_count != found.before_count:
        count += f" → {found.after_count:g}"
    name = (
        found.name
        if found.place is None or not found.place.text
        else f"{found.name}  {found.place.text.strip()}"
    )
    note = f"instead of {found.instead_of}" if found.instead_of else found.state.replace("both", "")
    return [
        name,
        *([_launched(found)] if launched else []),
        microseconds(found.before_us),
        microseconds(found.after_us),
        _changed_by(
            found.before_us, found.after_us, microseconds(abs(found.after_us - found.before_us)), True
        ),
        count,
        note,
    ]


def _launched(found: Change) -> str:
    """Return the grid and block, before and after where they differ."""
    pairs = [
        f"{len(each)} different" if len(each) > 1 else each[0].grid and f"{each[0].grid} × {each[0].block}"
        for each in (found.before_with, found.after_with)
        if each
    ]
    return " → ".join(filter(None, pairs if found.before_with != found.after_with else pairs[:1]))


def _changed_by(before: float, after: float, amount: str, is_cost: bool) -> Cell:
    """Return a change with its sign and share; a higher cost is red, a lower one green."""
    if math.isclose(after, before, rel_tol=_SAME):
        return Cell("0")
    sign = "+" if after > before else "−"
    part = f" ({sign}{100 * abs(after - before) / abs(before):.1f} %)" if before else ""
    noticed = is_cost and abs(after - before) > _NOTICED * max(abs(before), abs(after))
    return Cell(f"{sign}{amount}{part}", ("bad" if after > before else "good") if noticed else "")


def _figure(of: Figure, value: float) -> str:
    if of.unit == "us":
        return microseconds(value)
    if of.unit == "share":
        return f"{100 * value:.1f} %"
    if of.unit == "bytes":
        return size(round(value))
    if of.unit == "count" and (value >= _WHOLE or float(value).is_integer()):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _covered(part: float | None) -> str:
    return "" if part is None or part > _ALL else f" ({share(part, 1)} of the compute time)"
