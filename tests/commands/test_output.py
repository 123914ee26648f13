"""Documents as text and HTML, and the grammar of the commands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from genops_lab.commands import grammar, html, terminal
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
from genops_lab.version import __version__

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


def test_a_column_that_folds_is_read_whole() -> None:
    table = Table(
        [Column("state"), Column("found", shrinks=True, folds=True)], [["ok", "one two three four"]]
    )
    lines = terminal.render(Document([table]), width=20).splitlines()
    assert lines == ["STATE  FOUND", "ok     one two three", "       four"]
    assert terminal.render(Document([table])).splitlines()[1:] == ["ok     one two three four"]
    assert terminal.render(Document([replace(table, rows=[["ok", ""]])]), width=20).splitlines()[1:] == ["ok"]


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


def test_groups_show_the_range_of_their_metrics() -> None:
    def group(value: str | None, **metric: float | None) -> dict[str, object]:
        return {
            "group": {"params.a": value},
            "runs": 1200,
            "newest_at": None,
            "metrics": {"loss": metric} if metric else {},
        }

    document = groups(
        ["params.a"],
        [
            group("x", mean=0.5, min=0.25, max=0.75, finite=2, not_finite=1),
            group("y", mean=2.0, min=2.0, max=2.0, finite=1, not_finite=0),
            group("z", mean=None, min=None, max=None, finite=0, not_finite=2),
            group(None),
        ],
        ["metrics.loss"],
    )
    head, *rows = terminal.render(document).splitlines()
    assert re.split("  +", head) == ["PARAMS.A", "RUNS", "NEWEST", "LOSS (MEAN, RANGE)"]
    assert "1,200" in rows[0] and rows[0].endswith("0.5 (0.25 to 0.75) +1 not finite")
    assert rows[1].split()[-1] == "2" and rows[2].endswith(" 2 not finite") and rows[3].startswith("(none)")


def invoked(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from genops_lab.commands.main import app

    return CliRunner().invoke(app, list(arguments), prog_name="genops", terminal_width=80)


def commands(name: str = "") -> Iterator[tuple[list[str], Any]]:
    """Each command that is no group, with its words."""
    from genops_lab.commands.main import grammar

    def below(group: Any, words: list[str]) -> Iterator[tuple[list[str], Any]]:
        for word in group.list_commands(None):
            command = group.get_command(None, word)
            if hasattr(command, "list_commands"):
                yield from below(command, [*words, word])
            else:
                yield [*words, word], command

    return below(grammar(), [])


def test_a_command_is_a_plural_noun_and_a_verb_of_one_list_and_has_json_and_help() -> None:
    verbs = set()
    for words, command in commands():
        assert len(words) <= 2, words
        if len(words) == 2:
            assert words[0].endswith("s") or words[0] in ("lineage", "redaction"), words  # without a plural
            verbs.add(words[1])
        assert "--json" in {option for each in command.params for option in each.opts}, words
        # The help begins with an imperative.
        assert re.match(r"[A-Z][a-z]+ ", command.help) and ". " in f"{command.help} ", words
        for each in command.params:
            assert each.help, (words, each.name)
            # Help names what an argument stands for, as the sentences do: RUN, TARGET, PATH.
            assert each.param_type_name != "argument" or (each.metavar or "").isupper(), (words, each.name)
    assert verbs == set(grammar.VERBS)


def test_all_commands_are_on_one_screen() -> None:
    for shown in (invoked("--help"), invoked("help")):
        lines = shown.stdout.splitlines()
        assert shown.exit_code == 0 and 24 <= len(lines) <= 42 and max(map(len, lines)) <= 80
    words = re.findall(r"^  (\w+) ", shown.stdout, re.M)
    assert words == list(grammar.WORDS)
    for word in grammar.WORDS:
        text = invoked("help", word).stdout
        assert f"genops {word}" in text and max(map(len, text.splitlines())) <= 80
        assert not re.search(r"^  \w.*\.\.\.$", text, re.M), f"a sentence of {word} is cut: {text}"


def test_many_verbs_have_headings_and_one_screen() -> None:
    from genops_lab.commands.main import grammar as root

    for noun in grammar.WORDS:
        command: Any = root().get_command(None, noun)
        if not hasattr(command, "list_commands"):
            continue
        verbs, headings = command.list_commands(None), grammar.HEADINGS.get(noun, {})
        named = [verb for below in headings.values() for verb in below]
        assert set(named) <= set(verbs) and len(named) == len(set(named)), noun
        text = invoked("help", noun).stdout
        lines = text.splitlines()
        assert len(lines) <= 32 and max(map(len, lines)) <= 80, noun
        assert re.findall(r"^  ([a-z-]+)  +\S", text, re.M) == (named or verbs), noun
        assert len(verbs) <= 10 or [line for line in lines if line in headings] == list(headings), noun
        assert all(len(below) <= 10 for below in headings.values()), noun


def test_help_is_a_command_too() -> None:
    asked = invoked("help", "runs", "list")
    assert asked.exit_code == 0 and "--filter" in asked.stdout and "genops runs list" in asked.stdout
    assert invoked("help", "nonsense").exit_code == 2
    assert "See `genops help runs`" in invoked("help", "runs", "nonsense").stderr
    data = json.loads(invoked("help", "runs", "--json").stdout)
    assert {each["command"] for each in data["commands"]} >= {"genops runs list", "genops runs compare"}


def command_of(words: list[str]) -> Any:
    from genops_lab.commands.main import grammar as root

    found = root()
    for word in words:
        found = found.get_command(None, word)
    return found


@pytest.mark.parametrize("former", grammar.FORMER)
def test_a_former_name_works_and_says_the_new_one_on_standard_error(former: str) -> None:
    words, said = grammar.renamed([*former.split(), "--json"])
    assert command_of(words[:-1]) is not None and words[-1] == "--json"
    assert f"`genops {former}` is now `genops {grammar.FORMER[former]}`" in said
    shown = invoked(*former.split(), "--help")
    assert shown.exit_code == 0 and shown.stderr == f"{said}\n" and said not in shown.stdout
    assert f"genops {grammar.FORMER[former]}" in shown.stdout
    assert grammar.FORMER[former] in invoked("help", *former.split()).stdout


def test_former_names_are_removed_in_time() -> None:
    def version(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")[:2]))

    assert version(__version__) < version(grammar.FORMER_UNTIL), "remove FORMER, and its rows in the docs"


@pytest.mark.parametrize("short", grammar.SHORTCUTS)
def test_a_shortcut_is_silent(short: str) -> None:
    shown = invoked(*short.split(), "--help")
    meant = grammar.SHORTCUTS[short].partition(" --")[0]
    assert (shown.exit_code, shown.stderr) == (0, "") and meant in shown.stdout


def test_the_page_of_the_command_line_has_every_command_and_former_name() -> None:
    page = (Path(__file__).parents[2] / "docs" / "users" / "command-line.md").read_text(encoding="utf-8")
    rows = {
        cells[1].strip(" `"): "|".join(cells[2:])
        for line in page.splitlines()
        if len(cells := line.split("|")) > 3
    }
    for words, _command in commands():
        if len(words) == 2:
            assert f"`{words[1]}`" in rows[words[0]], words
        else:
            assert f"`{words[0]}`" in page
    for noun in {words[0] for words, _ in commands() if len(words) == 2}:
        verbs = set(re.findall(r"`([\w-]+)`", rows[noun])) - {
            short.split()[-1] for short in grammar.SHORTCUTS if short.startswith(f"{noun} ")
        }
        known = {words[1] for words, _ in commands() if words[0] == noun and len(words) == 2}
        assert verbs - {"add"} == known - {"add"}, noun
    former = dict(re.findall(r"^\| `genops ([\w -]+)` \| `genops ([\w -]+)` \|$", page, re.M))
    assert {name: now for name, now in grammar.FORMER.items() if name != "compute"} == former
    assert f"until version {grammar.FORMER_UNTIL}" in page


def test_the_magic_completes_the_same_words() -> None:
    from genops_lab.runtime import magics

    known: dict[str, set[str]] = {word: set() for word in grammar.WORDS}
    for words, _command in commands():
        known[words[0]].update(words[1:])
    short = {
        word: {each.split()[1] for each in grammar.SHORTCUTS if each.startswith(f"{word} ")}
        for word in grammar.SHORTCUTS
        if " " not in word
    }
    # Of the kernel itself.
    own = {"memory": {"record", "show", "stop"}, "redaction": {"check", "show", "set"}}
    assert {word: set(verbs.split()) for word, verbs in magics.COMMANDS.items()} == known | short | own

    def completed(line: str) -> list[str]:
        return magics._complete(None, SimpleNamespace(line=line))

    assert "runs" in completed("%genops ") and "runs" in completed("%genops ru")
    assert completed("%genops runs ")[:2] == completed("%genops runs li")[:2] == ["list", "show"]
    assert completed("%genops runs list ") == []


def lists() -> dict[str, tuple[Document, str]]:
    """A document of each list, with names of an ordinary length, and what must be seen whole."""
    from genops_lab.commands.views import deployments, kernels, lab, models, profiles, sweeps, targets
    from genops_lab.commands.views import runs as of_runs
    from genops_lab.core.models import AuditedEntry, AuditPage
    from genops_lab.deployments.models import Deployment
    from genops_lab.experiments.models import Experiment, Run
    from genops_lab.hosts.models import Candidate, RemoteKernel, Target, TargetKernels
    from genops_lab.profiling.models import Profile
    from genops_lab.registry.models import AliasMove, ModelVersion, RegisteredModel
    from genops_lab.sweeps.models import Sweep

    run = Run(
        run_id="3f2a91" * 5, experiment_id="12", experiment="mnist-augmented", name="cnn-adam-lr-0.003",
        status="FINISHED", started_at=1.7e9, ended_at=1.7e9 + 4000, metrics={"accuracy": 0.9312, "loss": 0.2141},
    )  # fmt: skip
    sweep = Sweep(
        id="3fa91c20", name="learning-rate-and-layers", state="running", method="random", metric="loss",
        direction="minimize", objective="last", planned=120, parallel=4, on=["gpu-box"], trials=[],
        best_value=0.012345, created_at=1.7e9,
    )  # fmt: skip
    profile = Profile(
        id="0123456789ab",
        title="train_one_epoch(model, loader)",
        created_at=1.7e9,
        state="ready",
        run_id="9" * 32,
    )
    version = ModelVersion(name="digits-classifier", version="12", aliases=["production", "candidate"])
    deployment = Deployment(
        name="digits-classifier", model="digits-classifier", version="12", state="running", created_at=1.7e9,
        lease_until=1.7e9, requests=123456, errors=12, latency_ms=12.3, url="http://127.0.0.1:43210",
    )  # fmt: skip
    target = Target(
        name="gpu-box", kind="ssh", python="python3", kernel_name="genops-gpu-box", host="gpu-box.example.org",
        user="somebody", port=2222, state="up", reading_age_s=3.0, rtt_s=0.0142, price_per_hour=2.5,
    )  # fmt: skip
    kernel = RemoteKernel(
        target="gpu-box", kernel_id="3f2a91" * 5, state="running", notebook="notebooks/training/lesson.ipynb",
        execution_state="busy", started_at=1.7e9,
    )  # fmt: skip
    candidate = Candidate(
        alias="gpu-box", name="gpu-box", hostname="gpu-box.example.org", user="somebody", port=2222
    )
    entry = AuditedEntry(
        id="1", owner="somebody", at=1.7e9, principal="somebody", action="execute", resource="deployment",
        operation="deployments.stop_deployment", detail={"name": "digits-classifier"}, outcome="ok",
    )  # fmt: skip
    return {
        "runs": (of_runs.runs([run]), "accuracy=0.9312"),
        "experiments": (
            of_runs.experiments([Experiment(id="12", name="mnist-augmented")]),
            "mnist-augmented",
        ),
        "sweeps": (sweeps.sweeps([sweep]), "loss 0.012345"),
        "profiles": (profiles.profiles([profile]), "0123456789ab"),
        "models": (
            models.models([RegisteredModel(name="digits-classifier", versions=[version])]),
            "digits-classifier",
        ),
        "history": (
            models.history(
                [
                    AliasMove(
                        id="1",
                        model="digits",
                        alias="champion",
                        from_version="1",
                        to_version="2",
                        kind="outside",
                        at=1.7e9,
                        since=1.6e9,
                    )
                ]
            ),
            "1 → 2",
        ),
        "deployments": (deployments.deployments([deployment]), "http://127.0.0.1:43210"),
        "targets": (targets.targets([target]), "connected"),
        "candidates": (targets.candidates([candidate]), "genops targets add gpu-box --ssh gpu-box"),
        "kernels": (
            kernels.kernels([TargetKernels(target="gpu-box", connected=True, kernels=[kernel])]),
            "busy",
        ),
        "audit": (lab.audit(AuditPage(items=[entry])), "deployments.stop_deployment"),
    }


@pytest.mark.parametrize("name", lists())
def test_a_list_fits_into_80_columns_and_its_first_column_is_whole(name: str) -> None:
    document, whole = lists()[name]
    text = terminal.render(document, width=80)
    assert max(map(cell_len, text.splitlines())) <= 80, text
    assert whole in text and "…" not in text.splitlines()[1].split()[0], text
