"""Compare gathered runs and return rows, without reading anything except requested digests."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from genops_lab.experiments.histories import finite
from genops_lab.experiments.media.layout import is_media
from genops_lab.experiments.models import Run
from genops_lab.experiments.restoring.environment import packages_of
from genops_lab.experiments.restoring.run_source import FOLDER, Kept

from .models import (
    ArtifactEntry,
    ArtifactRow,
    ColumnChanges,
    ComparedColumn,
    ComparedRow,
    ComparedRun,
    Estimate,
    MetricCell,
    MetricRow,
    MetricValue,
    RunComparison,
    Sameness,
    Verdict,
)
from .texts import Room, cell_changes, patch_changes

if TYPE_CHECKING:
    # numpy comes with it.
    from genops_lab.statistics.repeats import Sample

#: Usual names of seeds, whatever stands before a dot or slash (``trainer.seed``).
SEEDS = (
    "seed",
    "random_seed",
    "rng_seed",
    "random_state",
    "torch_seed",
    "numpy_seed",
    "np_seed",
    "manual_seed",
)
REPEAT_TAG = "genops.repeat"
#: Rows of one section in an answer.
MAX_ROWS = 2_000
SYSTEM = "system/"


class Gathered(Run, frozen=True, kw_only=True):
    """All parts of a run that a comparison uses.

    ``raw_metrics`` include NaN and infinities, which are None in a Run. ``files``: sizes in bytes by path.
    ``problem``: why something could not be read.
    """

    raw_metrics: dict[str, float]
    kept: Kept
    patch: str
    files: dict[str, int | None]
    problem: str


#: The SHA-256 of a run's file; empty if it is too large or not on this machine.
Digest = Callable[[str, str], str]
Columns = Sequence[Sequence[Gathered]]
R = TypeVar("R", ComparedRow, MetricRow, ArtifactRow)

TARGET_TAG = "genops.target"


def compare(
    runs: Sequence[Gathered], baseline: int, repeats: Sequence[str] | None, digest: Digest
) -> RunComparison:
    """Compare runs; ``baseline`` is the position of the run whose column the others are compared with."""
    grouped = groups(runs, repeats)
    all_repeats = len(grouped) == 1
    if all_repeats:
        # One column has nothing to be compared with: then each run has a column, and their mean is beside
        # them.
        grouped = [[position] for position in range(len(runs))]
    column_of = {position: number for number, members in enumerate(grouped) for position in members}
    columns = [[runs[position] for position in members] for members in grouped]
    base = column_of[baseline]
    first = [members[0] for members in columns]
    room = Room()
    more: dict[str, int] = {}
    return RunComparison(
        runs=[_run(run, column_of[position], repeats) for position, run in enumerate(runs)],
        columns=[_column(members) for members in columns],
        baseline=base,
        repeats=all_repeats,
        params=_bounded("params", _rows(columns, lambda run: run.params), more),
        tags=_bounded("tags", _rows(columns, lambda run: run.tags), more),
        metrics=_bounded("metrics", _metrics(columns, base, all_repeats), more),
        facts=_rows(columns, facts_of, in_order=True),
        packages=_bounded("packages", [row for row in _packages(first) if row.differs], more),
        datasets=_bounded("datasets", _rows([[run] for run in first], _datasets), more),
        changes=[_changes(first[base], run, room) for run in first],
        artifacts=_bounded("artifacts", _artifacts(first, base, digest), more),
        more=more,
    )


def _run(run: Gathered, column: int, repeats: Sequence[str] | None) -> ComparedRun:
    return ComparedRun(
        run_id=run.run_id,
        name=run.name,
        experiment=run.experiment,
        status=run.status,
        column=column,
        started_at=run.started_at,
        ended_at=run.ended_at,
        repeat=repeat_label(run, repeats or None),
        has_source=bool(run.kept.cells),
        problem=run.problem,
    )


def _column(members: Sequence[Gathered]) -> ComparedColumn:
    ran = {_ran(run) for run in members}
    return ComparedColumn(name=members[0].name, run_ids=[run.run_id for run in members], mixed=len(ran) > 1)


def _ran(run: Gathered) -> object:
    return tuple(cell.source for cell in run.kept.cells), run.patch


def _bounded(section: str, rows: list[R], more: dict[str, int]) -> list[R]:
    if len(rows) <= MAX_ROWS:
        return rows
    more[section] = len(rows) - MAX_ROWS
    return sorted(rows, key=lambda row: not row.differs)[:MAX_ROWS]


def _rows(
    columns: Columns, values: Callable[[Gathered], dict[str, str]], in_order: bool = False
) -> list[ComparedRow]:
    read = [[values(run) for run in members] for members in columns]
    names = list(dict.fromkeys(name for members in read for each in members for name in each))
    return [
        _row(name, [[each.get(name) for each in members] for members in read])
        for name in (names if in_order else sorted(names))
    ]


def _row(name: str, columns: list[list[str | None]]) -> ComparedRow:
    distinct = [list(dict.fromkeys(values)) for values in columns]
    return ComparedRow(
        name=name, columns=distinct, differs=any(set(one) != set(distinct[0]) for one in distinct)
    )


def _metrics(columns: Columns, baseline: int, all_repeats: bool) -> list[MetricRow]:
    from genops_lab.statistics.repeats import Sample

    names = {name for members in columns for run in members for name in run.raw_metrics}
    rows = []
    for name in sorted(names, key=lambda name: (name.startswith(SYSTEM), name)):
        read = [[run.raw_metrics.get(name) for run in members] for members in columns]
        samples = [Sample.of(_finite_values(values)) for values in read]
        together = Sample.of(_finite_values([value for values in read for value in values]))
        shown = [[_value(value) for value in values] for values in read]
        rows.append(
            MetricRow(
                name=name,
                columns=[
                    _cell(values, sample, samples[baseline], number == baseline)
                    for number, (values, sample) in enumerate(zip(read, samples, strict=True))
                ],
                differs=any(set(each) != set(shown[0]) for each in shown),
                together=_estimate(together) if all_repeats else None,
            )
        )
    return rows


def _cell(values: Sequence[float | None], sample: Sample, base: Sample, is_base: bool) -> MetricCell:
    from genops_lab.statistics.repeats import welch

    found = welch(sample, base)
    verdict: Verdict = ""
    if found.low is not None and found.high is not None and not is_base:
        verdict = "higher" if found.low > 0 else "lower" if found.high < 0 else "unclear"
    return MetricCell(
        values=[_value(value) for value in values],
        estimate=_estimate(sample),
        nan=sum(value is not None and math.isnan(value) for value in values),
        infinite=sum(
            value is not None and not math.isnan(value) and finite(value) is None for value in values
        ),
        missing=sum(value is None for value in values),
        difference=None if is_base else found.estimate,
        low=None if is_base else found.low,
        high=None if is_base else found.high,
        verdict=verdict,
    )


def _estimate(sample: Sample) -> Estimate:
    from genops_lab.statistics.repeats import mean_t

    return Estimate(n=sample.n, mean=sample.mean, margin=mean_t(sample).half_width)


def _finite_values(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None and finite(value) is not None]


def _value(value: float | None) -> MetricValue:
    if value is None or finite(value) is not None:
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _packages(first: Sequence[Gathered]) -> list[ComparedRow]:
    """Return versions; a run without a list of packages has no different ones."""
    lists = [packages_of(run.kept.installed) for run in first]
    names = sorted({name for each in lists for name in each})
    rows = []
    for name in names:
        versions: list[list[str | None]] = [[each.get(name)] for each in lists]
        known = {version[0] for version, each in zip(versions, lists, strict=True) if each}
        rows.append(ComparedRow(name=name, columns=versions, differs=len(known) > 1))
    return rows


def _datasets(run: Gathered) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in run.kept.datasets:
        name = f"{one.name} ({one.context})" if one.context else one.name
        found[name] = f"{found[name]}, {one.digest}" if name in found else one.digest
    return found


def _changes(base: Gathered, other: Gathered, room: Room) -> ColumnChanges:
    if other is base:
        return ColumnChanges()
    mute = [run for run in (base, other) if not run.kept.cells]
    cells = [] if mute else cell_changes(base.kept.cells, other.kept.cells, room)
    why = "" if not mute else f"The run {mute[0].name or mute[0].run_id} has no cells."
    return ColumnChanges(cells=cells, patch=patch_changes(base.patch, other.patch, room), why=why)


def _artifacts(first: Sequence[Gathered], baseline: int, digest: Digest) -> list[ArtifactRow]:
    """Return all files except those of other sections: GenOps Lab's own source files, and media by step."""
    paths = {
        path for run in first for path in run.files if not path.startswith(FOLDER) and not is_media(path)
    }
    rows = []
    for path in sorted(paths):
        entries = [_entry(run, first[baseline], path, digest) for run in first]
        rows.append(
            ArtifactRow(
                path=path,
                columns=entries,
                differs=any(entry.sameness in ("differs", "missing") for entry in entries),
            )
        )
    return rows


def _entry(run: Gathered, base: Gathered, path: str, digest: Digest) -> ArtifactEntry:
    if path not in run.files:
        return ArtifactEntry()
    size = run.files[path]
    sameness: Sameness = "differs"
    if run is base:
        sameness = "same"
    elif path in base.files and size == base.files[path]:
        one, two = digest(run.run_id, path), digest(base.run_id, path)
        sameness = "same_size" if not one or not two else "same" if one == two else "differs"
    return ArtifactEntry(run_id=run.run_id, size_bytes=size, sameness=sameness)


def facts_of(run: Gathered) -> dict[str, str]:
    """Return the known facts in display order. The names are stable: views translate them."""
    record = run.kept.record
    facts = {
        "experiment": run.experiment,
        "status": run.status,
        "user": run.user,
        "source": record.script if record is not None and record.script else run.source,
        "target": run.tags.get(TARGET_TAG, ""),
        "commit": run.git_commit,
    }
    if record is not None:
        environment, git = record.environment, record.git
        lock = environment.lock_file
        names = Counter(gpu.name for gpu in record.gpus)
        facts |= {
            "branch": git.branch if git is not None else "",
            "host": record.host,
            "platform": record.platform,
            "gpus": ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items()),
            "driver": ", ".join(dict.fromkeys(gpu.driver for gpu in record.gpus if gpu.driver)),
            "python": environment.python,
            "lock": f"{lock.name} {lock.sha256[:12]}" if lock is not None else "",
        }
    return {name: value for name, value in facts.items() if value}


def is_repeat_name(name: str, repeats: Sequence[str] | None) -> bool:
    """Return whether a parameter or tag of this name distinguishes repeats."""
    if repeats is not None:
        return name in repeats
    return name.replace("/", ".").rpartition(".")[2].lower().replace("-", "_") in SEEDS


def groups(runs: Sequence[Gathered], repeats: Sequence[str] | None) -> list[list[int]]:
    """Return positions of runs, repeats together, in the order of their first run.

    Repeats have the same tag ``genops.repeat``. Runs of one experiment and commit are repeats too, if their
    parameters are equal except those that ``repeats`` names, and these are all different. Runs with the same
    seed are not repeats: a program that always does the same shows no spread.
    """
    if repeats is not None and not repeats:
        return [[position] for position in range(len(runs))]
    found: dict[object, list[int]] = {}
    for position, run in enumerate(runs):
        found.setdefault(_key(position, run, repeats), []).append(position)
    result: list[list[int]] = []
    for key, members in found.items():
        labels = [repeat_label(runs[position], repeats) for position in members]
        if _is_tagged(key) or len(set(labels)) == len(labels):
            result.append(members)
        else:
            result.extend([position] for position in members)
    return sorted(result)


def repeat_label(run: Gathered, repeats: Sequence[str] | None) -> str:
    """Return what distinguishes a run from its repeats, such as ``seed=3``; else an empty text."""
    return ", ".join(
        f"{name}={value}"
        for name, value in sorted({**run.tags, **run.params}.items())
        if is_repeat_name(name, repeats)
    )


def _key(position: int, run: Gathered, repeats: Sequence[str] | None) -> object:
    tag = run.tags.get(REPEAT_TAG, "")
    if tag:
        return ("tag", tag)
    if not repeat_label(run, repeats):
        return ("alone", position)
    rest = sorted((name, value) for name, value in run.params.items() if not is_repeat_name(name, repeats))
    return ("params", run.experiment_id, run.git_commit, tuple(rest))


def _is_tagged(key: object) -> bool:
    return isinstance(key, tuple) and key[0] == "tag"
