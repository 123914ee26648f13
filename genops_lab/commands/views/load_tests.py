"""Load tests as documents."""

from __future__ import annotations

from shlex import quote

from genops_lab.deployments.load_models import LoadStep, LoadTest, Recording
from genops_lab.deployments.load_tests import summary
from genops_lab.genai.traces.models import DeploymentTraces

from ..document import Block, Column, Document, Facts, Note, Row, Table, moment


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"


def load_test(test: LoadTest, before: LoadTest | None) -> Document:
    """``deployments load`` and ``load-tests --id``, beside the test before if there is one."""
    figures, limit = test.figures, test.plan.limit_ms
    earlier = {each.rate: each for each in before.figures.steps} if before else {}
    columns = [
        Column("requests/s", right=True),
        Column("in time", right=True),
        Column("failed", right=True),
        Column("p50", right=True),
        Column("p95", right=True, leaves=2),
        Column("p99", right=True),
    ]
    streamed = any(each.first_p50_ms is not None for each in figures.steps)
    if streamed:
        columns += [Column("first token p50", right=True), Column("between p50", right=True, leaves=1)]
    if before:
        columns.append(Column(f"p99 of r{before.revision}", right=True))
    rows: list[Row] = [
        [
            f"{each.rate:g}",
            _share(each),
            str(each.failed),
            _ms(each.p50_ms),
            _ms(each.p95_ms),
            _ms(each.p99_ms),
            *([_ms(each.first_p50_ms), _ms(each.between_p50_ms)] if streamed else []),
            *([_ms(earlier[each.rate].p99_ms) if each.rate in earlier else ""] if before else []),
        ]
        for each in figures.steps
    ]
    blocks: list[Block] = [
        Facts(
            [
                ("load test", test.id),
                ("deployment", f"{test.deployment}, revision {test.revision} ({test.model} v{test.version})"),
                ("requests", test.plan.source),
                ("in time", f"within {limit:g} ms"),
            ]
        ),
        Table(columns, rows),
        Note(summary(figures, limit), "" if figures.knee else "bad"),
    ]
    if before:
        blocks.append(
            Note(f"Before, with revision {before.revision}: {summary(before.figures, before.plan.limit_ms)}")
        )
    if figures.stopped:
        blocks.append(Note("The test ended early: half of the answers were late.", "busy"))
    if figures.client_late_ms:
        blocks.append(
            Note(
                f"The client itself was up to {figures.client_late_ms:.0f} ms late, so the latencies are too high. "
                "Stop other programs of this machine, or test from another one.",
                "busy",
            )
        )
    blocks += [Note(f"{each.count} failed: {each.what}", "bad") for each in figures.failures]
    return Document(blocks)


def _share(step: LoadStep) -> str:
    return f"{100 * step.in_time / step.sent:.0f} %" if step.sent else ""


def recording(deployment: str, found: Recording) -> Document:
    """``deployments record``."""
    facts = [("deployment", deployment), ("recorded", f"{found.requests} of {found.wanted} requests")]
    if found.path:
        facts.append(("path", found.path))
    facts.append(("kept for", f"{max(1, round(found.left_s / 60))} min, in the memory of the gateway"))
    then = f"genops deployments load {deployment} --recorded"
    words = "All are recorded." if found.full else "The next requests with JSON are recorded."
    return Document([Facts(facts), Note(f"{words} Test with them: {then}")])


def traces(found: DeploymentTraces) -> Document:
    """``deployments record --traces``."""
    if not found.on:
        return Document([Note(f"Requests to {found.name} do not become traces.")])
    facts = [
        ("deployment", found.name), ("sample", f"{100 * found.sample:g} % of the requests"),
        ("experiment", found.experiment), ("traces", f"{found.kept:,} since JupyterLab began"),
        ("lost", f"{found.lost:,} that came faster than they were written"), ("redaction", found.redaction),
    ]  # fmt: skip
    if found.problem:
        facts.append(("problem", found.problem))
    return Document(
        [Facts(facts), Note(f"Read them: genops traces list --experiment {quote(found.experiment)}")]
    )


def load_tests(deployment: str, found: list[LoadTest]) -> Document:
    """``deployments load-tests``."""
    columns = [
        Column("id"),
        Column("revision", right=True),
        Column("version", right=True, leaves=1),
        Column("when", leaves=2),
        Column("rates", right=True),
        Column("limit", right=True),
        Column("in time up to", right=True),
    ]
    rows: list[Row] = [
        [
            each.id,
            str(each.revision),
            each.version,
            moment(each.at),
            f"{each.plan.first_rate:g}..{each.plan.last_rate:g}",
            _ms(each.plan.limit_ms),
            "none" if each.figures.knee is None else f"{each.figures.knee:g}/s",
        ]
        for each in found
    ]
    empty = f"There are no load tests of {deployment}. Make one: genops deployments load {deployment}"
    return Document([Table(columns, rows, empty=empty)])
