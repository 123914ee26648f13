"""Runs and experiments as documents."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from shlex import quote
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from genops_lab.experiments.columns.models import RunsState
from genops_lab.experiments.models import Experiment, RelatedRun, Run, RunDetail, RunOutput
from genops_lab.experiments.restoring.models import RestoredNotebook, RunPatch
from genops_lab.experiments.service import RunLinks
from genops_lab.runtime.history import DIVERGED

from ..document import (
    SHORT_ID,
    Block,
    Cell,
    Column,
    Document,
    Facts,
    Lines,
    Note,
    Row,
    Table,
    duration,
    moment,
    size,
    state_cell,
)

if TYPE_CHECKING:
    from ..run_listing import Best, Extremes

SHOWN_METRICS = 3
#: Colours and moves of the cursor, for which a document has no place.
_TERMINAL_CODES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def experiments(found: list[Experiment]) -> Document:
    """``experiments list``."""
    return Document(
        [
            Table(
                [Column("id"), Column("name", shrinks=True), Column("updated")],
                [[each.id, each.name, moment(each.updated_at)] for each in found],
                empty="There are no experiments yet. Start a run with %%track in a notebook, or with genops.log.",
            )
        ]
    )


def experiment(found: Experiment, runs: int) -> Document:
    """``experiments show``."""
    facts = Facts(
        [
            ("experiment", found.name),
            ("id", found.id),
            ("created", moment(found.created_at)),
            ("updated", moment(found.updated_at)),
            ("runs", f"{runs:,}"),
        ]
    )
    return Document([facts, Note(f"List its runs: genops runs list --experiment {quote(found.name)}", "dim")])


def _run_duration(run: Run) -> str:
    if run.started_at is None:
        return ""
    end = run.ended_at if run.ended_at is not None else time.time()
    return duration(max(0.0, end - run.started_at))


def _number(value: float | None, digits: int) -> str:
    """Return a metric as text; None is a value that is not finite."""
    return "not finite" if value is None else f"{value:.{digits}g}"


def _own_first(key: str) -> tuple[bool, str]:
    """Return the sort key that puts a user's own metrics first."""
    return key.startswith(("system/", "train/")), key


def _metrics_cell(
    run: Run, asked_for: Sequence[str], best: Mapping[str, Best], quiet: float | None
) -> str | Cell:
    """Return the first metrics, in red behind diverged metrics and the time since a stalled run's last one."""
    shown = _first_metrics(run, asked_for, best)
    bad = [run.tags.get(DIVERGED, ""), "" if quiet is None else f"no metric for {duration(quiet)}"]
    return Cell("  ".join(filter(None, (*bad, shown))), "bad") if any(bad) else shown


def changed(run_ids: list[str], how: str) -> Document:
    """``runs delete``, ``runs undelete`` and ``runs tag``."""
    return Document([Table([Column("run"), Column("is")], [[run_id[:SHORT_ID], how] for run_id in run_ids])])


def exported(path: str, runs: int, columns: int) -> Document:
    """``runs export``."""
    return Document([Facts([("file", path), ("runs", f"{runs:,}"), ("columns", f"{columns:,}")])])


def state(found: RunsState) -> Document:
    """``runs optimize-db``."""
    facts = Facts([("runs", f"{found.read:,}"), ("source", found.source)])
    return Document([facts, Note("MLflow's SQLite file has statistics now.", "good")])


def _first_metrics(run: Run, asked_for: Sequence[str], best: Mapping[str, Best]) -> str:
    """Return the metrics that were asked for, then others by name, up to SHOWN_METRICS."""
    asked = [key for key in asked_for if key in run.metrics]
    others = [key for key in sorted(run.metrics, key=_own_first) if key not in asked]
    del others[max(0, SHOWN_METRICS - len(asked)) :]
    return "  ".join(
        f"{key}={_number(run.metrics[key], 4)}{_best(best.get(key), run.metrics[key])}"
        for key in (*asked, *others)
    )


def _best(known: Best | None, last: float | None) -> str:
    return (
        ""
        if known is None or known.point.value == last
        else f" ({known.word} {_number(known.point.value, 4)})"
    )


def runs(
    found: list[Run],
    *,
    filtered: bool = False,
    metrics: Sequence[str] = (),
    quiet: Mapping[str, float] = MappingProxyType({}),
    best: Mapping[str, Mapping[str, Best]] = MappingProxyType({}),
) -> Document:
    """``runs list``.

    ``metrics``: those that are always shown. ``quiet``: by stalled run, the seconds since its last metric. ``best``: by
    run and metric.
    """
    rows: list[Row] = [
        [
            run.run_id[:SHORT_ID],
            run.name,
            run.experiment,
            state_cell(run.status),
            moment(run.started_at),
            _run_duration(run),
            _metrics_cell(run, metrics, best.get(run.run_id, {}), quiet.get(run.run_id)),
        ]
        for run in found
    ]
    columns = [
        Column("run"),
        Column("name", shrinks=True),
        Column("experiment", shrinks=True, leaves=2),
        Column("status"),
        Column("started", leaves=1),
        Column("duration", right=True, leaves=3),
        Column("metrics", shrinks=True, narrowest=32),
    ]
    none = (
        "No run matches the query."
        if filtered
        else "There are no runs. Start one with %%track in a notebook."
    )
    return Document([Table(columns, rows, empty=none)])


def run(detail: RunDetail, extremes: Mapping[str, Extremes] = MappingProxyType({})) -> Document:
    """``runs show``."""
    shown = detail.run
    commit = shown.git_commit[:12] + (" (with changes)" if shown.git_commit and shown.git_dirty else "")
    facts = Facts(
        [
            ("run", shown.run_id),
            ("name", shown.name),
            ("experiment", shown.experiment),
            ("status", state_cell(shown.status)),
            ("started", moment(shown.started_at)),
            ("duration", _run_duration(shown)),
            ("user", shown.user),
            ("source", shown.source),
            ("commit", commit),
            ("parent", _related(detail.parent) if detail.parent is not None else ""),
        ]
    )
    parts: list[Block] = [facts]
    if detail.note:
        parts.append(Lines(_TERMINAL_CODES.sub("", detail.note).split("\n")))
    if shown.params:
        parts.append(Facts(sorted(shown.params.items()), title="Parameters"))
    if shown.tags:
        parts.append(Facts(sorted(shown.tags.items()), title="Tags"))
    if shown.metrics:
        when = {latest.key: f"  step {latest.step}, {moment(latest.at)}" for latest in detail.latest}
        metrics = [
            (key, _number(value, 6) + when.get(key, "") + _between(extremes.get(key)))
            for key, value in sorted(shown.metrics.items())
        ]
        parts.append(Facts(metrics, title="Metrics"))
    if detail.models:
        rows: list[Row] = [[model.name, ", ".join(model.flavors)] for model in detail.models]
        parts.append(Table([Column("model"), Column("flavors")], rows, title="Models"))
    if detail.artifacts:
        files = [
            [each.path + ("/" if each.is_dir else ""), size(each.size_bytes)] for each in detail.artifacts
        ]
        parts.append(Table([Column("path"), Column("size", right=True)], files, title="Artifacts"))
    if detail.children:
        below: list[Row] = [
            [each.run_id[:SHORT_ID], each.name, state_cell(each.status)] for each in detail.children
        ]
        columns = [Column("run"), Column("name", shrinks=True), Column("status")]
        parts.append(Table(columns, below, title="Child runs"))
    if detail.more_children:
        condition = f"tags.`mlflow.parentRunId` = '{shown.run_id}'"
        parts.append(Note(f"There are more child runs: genops runs list --filter {quote(condition)}"))
    if detail.output:
        parts.append(Note(f"Show what the run printed: genops runs show {shown.run_id[:SHORT_ID]} --output"))
    return Document(parts)


def _between(known: Extremes | None) -> str:
    if known is None:
        return ""
    low, high = known
    return f"  (min {_number(low.value, 6)} at step {low.step}, max {_number(high.value, 6)} at step {high.step})"


def _related(run: RelatedRun) -> str:
    return f"{run.name} ({run.run_id[:SHORT_ID]})" if run.name else run.run_id


def output(found: RunOutput) -> Document:
    """``runs show --output``."""
    if not found.texts:
        return Document([Note("The output of this run was not kept.")])
    parts: list[Block] = []
    for each in found.texts:
        parts.append(Note(f"{each.session}: {each.stream}" if each.session else each.stream, "dim"))
        parts.append(Lines(_TERMINAL_CODES.sub("", each.text).rstrip("\n").split("\n")))
    return Document(parts)


def links(found: RunLinks) -> Document:
    """``runs show --link``."""
    places = [("MLflow", found.mlflow), ("JupyterHub", found.hub), ("path on a Lab", found.lab)]
    return Document([Facts([("run", found.run_id), *((name, link) for name, link in places if link)])])


SHOWN_PACKAGES = 10


def restored(found: RestoredNotebook, path: str) -> Document:
    """``runs restore``."""
    environment = found.environment
    differ = len(environment.packages)
    packages = (
        (f"{differ} differ now" if differ else "unchanged") if environment.compared else environment.why
    )
    parts: list[Facts | Table | Note] = [
        Facts(
            [
                ("notebook", path),
                ("run", found.run_id),
                ("cells", str(found.cells)),
                ("redacted", _counts(found.redacted)),
                ("commit", found.git_commit[:12]),
                ("branch", found.git_branch),
                ("python", environment.python_then),
                ("packages", packages),
            ]
        )
    ]
    if environment.packages:
        rows: list[Row] = [
            [each.name, each.then or "none", each.now or "none"]
            for each in environment.packages[:SHOWN_PACKAGES]
        ]
        parts.append(Table([Column("package"), Column("then"), Column("now")], rows, title="Packages"))
    if found.altered:
        parts.append(Note(f"{found.altered} cells were changed after the run stored them.", "bad"))
    if found.patch_files:
        parts.append(
            Note(
                f"{found.patch_files} files had uncommitted changes: genops runs restore "
                f"{found.run_id[:SHORT_ID]} --diff FILE, then git apply FILE"
            )
        )
    return Document(parts)


def patch(found: RunPatch, path: str) -> Document:
    """``runs restore --diff``."""
    parts: list[Facts | Table | Note] = [
        Facts(
            [
                ("changes", path),
                ("run", found.run_id),
                ("commit", found.git_commit[:12]),
                ("files", ", ".join(found.files)),
                ("redacted", str(found.redacted) if found.redacted else ""),
                ("apply", f"git checkout {found.git_commit[:12]} && git apply {path}"),
            ]
        )
    ]
    if found.left_out:
        rows: list[Row] = [[each.path, each.reason, size(each.size)] for each in found.left_out]
        columns = [Column("file", shrinks=True), Column("why"), Column("size", right=True)]
        parts.append(Table(columns, rows, title="Not kept"))
    return Document(parts)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} × {count}" for kind, count in sorted(counts.items()))


def groups(by: list[str], found: list[dict[str, Any]], metrics: list[str]) -> Document:
    """``runs list --group``."""
    shown = [name.removeprefix("metrics.") for name in metrics[:SHOWN_METRICS]]
    rows: list[Row] = [
        [
            *("(none)" if value is None else value for value in each["group"].values()),
            f"{each['runs']:,}",
            moment(each["newest_at"]),
            *(_spread(each["metrics"].get(name)) for name in shown),
        ]
        for each in found
    ]
    columns = [
        *(Column(name, shrinks=True) for name in by),
        Column("runs", right=True),
        Column("newest"),
        *(Column(f"{name} (mean, range)", right=True) for name in shown),
    ]
    return Document([Table(columns, rows, empty="No run matches the query.")])


def _spread(metric: dict[str, Any] | None) -> str:
    """Return the mean, the range, and how many values are not finite."""
    if metric is None:
        return ""
    other = f" +{metric['not_finite']} not finite" if metric["not_finite"] else ""
    if not metric["finite"]:
        return other.strip(" +")
    low, high = f"{metric['min']:.4g}", f"{metric['max']:.4g}"
    return f"{metric['mean']:.4g}" + (f" ({low} to {high})" if low != high else "") + other
