"""Documents as text and as HTML: aligned, escaped, harmless."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len

from genops_lab.commands import html, terminal
from genops_lab.commands.document import (
    Cell,
    Column,
    Document,
    Facts,
    Lines,
    Note,
    Table,
    clean,
    duration,
    microseconds,
    size,
    state_cell,
)
from genops_lab.commands.session import exit_code
from genops_lab.commands.views.runs import groups
from genops_lab.core.errors import (
    Conflict,
    Failed,
    GenOpsError,
    InvalidRequest,
    NotAllowed,
    NotFound,
    Unavailable,
)

TABLE = Document(
    [
        Table(
            [Column("name", shrinks=True), Column("count", right=True), Column("state")],
            [["ünïcode ☃", "7", state_cell("running")], ["[red]b[/red]", "1234", Cell("failed", "bad")]],
            title="Things",
        )
    ]
)


def test_a_pipe_gets_plain_aligned_lines() -> None:
    assert terminal.render(TABLE).splitlines() == [
        "Things",
        "NAME          COUNT  STATE",
        "ünïcode ☃         7  running",
        "[red]b[/red]   1234  failed",
    ]


def test_a_narrow_terminal_cuts_the_columns_that_may_shrink() -> None:
    table = Table(
        [Column("id"), Column("name", shrinks=True), Column("count", right=True)],
        [["a", "n" * 80, "12"], ["b", "☃☃ 中文 wide" * 9, "7"]],
    )
    lines = terminal.render(Document([table]), width=40).splitlines()
    assert lines[0] == "ID  NAME                           COUNT"
    assert lines[1] == "a   " + "n" * 28 + "…     12"
    assert lines[2].endswith("…      7")
    assert all(cell_len(line) == 40 for line in lines)


def test_columns_leave_before_one_is_cut_too_far() -> None:
    table = Table(
        [
            Column("id"),
            Column("started", leaves=1),
            Column("experiment", leaves=2),
            Column("metrics", shrinks=True, narrowest=16),
        ],
        [["a", "2026-11-29 10:00", "digits", "accuracy=0.9312  loss=0.2"]],
    )
    wide, narrow, narrowest = (terminal.render(Document([table]), width=width) for width in (60, 40, 20))
    assert "2026" in wide and "digits" in wide and "loss=0.2" in wide
    assert narrow.splitlines()[1] == "a   digits      accuracy=0.9312  loss=0…"
    assert narrowest.splitlines()[1] == "a   accuracy=0.9312…"


def test_colour_is_for_terminals() -> None:
    assert "\x1b[" in terminal.render(TABLE, color=True)
    assert "\x1b" not in terminal.render(TABLE)


def test_names_cannot_steer_the_terminal() -> None:
    evil = "a\x1b]0;title\x07\x1b[2J\u202eb\nc"
    text = terminal.render(
        Document([Facts([("k", evil)]), Lines([evil]), Note(evil), Table([Column("x")], [[evil]])])
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert clean("plain ✓") == "plain ✓"


def test_html_is_escaped_and_inline() -> None:
    evil = "<img src=x onerror=alert(1)>"
    page = html.render(
        Document(
            [
                Facts([("<b>", evil), ("empty", "")], title=evil),
                Table([Column("<i>")], [[evil], [Cell(evil, "good")]]),
                Table([], [], empty=evil),
                Lines([evil]),
                Note(evil, "bad"),
            ]
        )
    )
    assert "<img" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert page.count("&lt;img") == 7
    assert "empty" not in page
    assert not re.search(r"<(script|style|link)|class=|url\(", page)


@pytest.mark.parametrize("tone", ["good", "busy", "bad", "dim"])
def test_colours_come_from_the_theme(tone: str) -> None:
    page = html.render(Document([Table([Column("state")], [[Cell("x", tone)]])]))  # type: ignore[arg-type]
    assert re.search(r"background:var\(--jp-[\w-]+, #[0-9a-f]{6}\)", page)


def test_a_hint_has_no_dot_and_facts_no_stripes() -> None:
    """A dot would look like a state, and JupyterLab's stripes reached the values alone."""
    page = html.render(Document([Facts([("run", "a")]), Note("See the log.", "dim")]))
    assert "border-radius" not in page
    assert re.findall(r"<tr[^>]*>", page) == ['<tr style="background:none">']


def test_units() -> None:
    assert [duration(seconds) for seconds in (0.04, 59.4, 61, 3_700, 90_000)] == [
        "0.0 s", "59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h",
    ]  # fmt: skip
    assert [size(count) for count in (None, 0, 1023, 1024, 3 * 1024**4)] == [
        "", "0 B", "1023 B", "1.0 KiB", "3.0 TiB",
    ]  # fmt: skip
    assert [microseconds(us) for us in (0.002, 1500, 2_000_000)] == ["0.002 µs", "1.500 ms", "2.000 s"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (GenOpsError, 1),
        (Failed, 1),
        (NotAllowed, 1),
        (InvalidRequest, 2),
        (NotFound, 3),
        (Conflict, 4),
        (Unavailable, 5),
    ],
)
def test_exit_codes(kind: type[GenOpsError], code: int) -> None:
    assert exit_code(kind("x")) == code


def test_groups_tell_between_what_their_metrics_lie() -> None:
    def told(value: str | None, **metric: float | None) -> dict[str, object]:
        return {
            "group": {"params.a": value},
            "runs": 1200,
            "newest_at": None,
            "metrics": {"loss": metric} if metric else {},
        }

    document = groups(
        ["params.a"],
        [
            told("x", mean=0.5, min=0.25, max=0.75, finite=2, not_finite=1),
            told("y", mean=2.0, min=2.0, max=2.0, finite=1, not_finite=0),
            told("z", mean=None, min=None, max=None, finite=0, not_finite=2),
            told(None),
        ],
        ["metrics.loss"],
    )
    head, *rows = terminal.render(document).splitlines()
    assert re.split("  +", head) == ["PARAMS.A", "RUNS", "NEWEST", "LOSS (MEAN, RANGE)"]
    assert "1,200" in rows[0] and rows[0].endswith("0.5 (0.25 to 0.75) +1 not finite")
    assert rows[1].split()[-1] == "2" and rows[2].endswith(" 2 not finite") and rows[3].startswith("(none)")


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    from typer.testing import CliRunner

    from genops_lab.commands.main import app

    asked = CliRunner().invoke(app, ["help", "runs", "list"], prog_name="genops")
    assert asked.exit_code == 0 and "--filter" in asked.stdout and "genops runs list" in asked.stdout
    assert "runs" in CliRunner().invoke(app, ["help"], prog_name="genops").stdout
    assert CliRunner().invoke(app, ["help", "nonsense"], prog_name="genops").exit_code == 2
