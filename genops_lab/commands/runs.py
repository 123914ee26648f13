"""``genops runs``."""

from __future__ import annotations

import contextlib
import json as jsons
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.columns.models import RunIds, RunSearch, RunSort, RunTags
from genops_lab.experiments.columns.service import RunTableService
from genops_lab.experiments.comparison.models import ComparisonQuery
from genops_lab.experiments.models import Run
from genops_lab.experiments.restoring.models import RestoredNotebook
from genops_lab.experiments.restoring.service import RestoringService
from genops_lab.experiments.service import ExperimentsService

from .completion import experiment_names, run_ids
from .exporting import Exported
from .grammar import noun
from .run_listing import (
    Best,
    all_found,
    best_values,
    extremes_of_run,
    list_groups,
    metrics_asked_for,
    points_as_data,
    query_pointed_at,
    remarks,
    sorted_by_nothing,
    sorting,
    stalled,
)
from .session import Json, Session, command
from .views import runs as views
from .views.comparison import comparison
from .writing import free_path, is_there, write_new

runs = noun()

RUNS = "An id, a unique prefix of it, a name that only one run has, or 'latest'."

_WAIT_S = 60


@runs.command("list")
def list_runs(
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", help="Name or id of an experiment.", autocompletion=experiment_names
        ),
    ] = "",
    filter: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="QUERY",
            help="A query, such as 'metrics.loss < 0.1 or params.optimizer = adam'. Default: all runs.",
        ),
    ] = "",
    sort: Annotated[
        list[str] | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="A column, such as metrics.loss; -metrics.loss sorts the largest first. Repeatable. "
            "Default: the newest run first.",
        ),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            metavar="COLUMN",
            help="List groups of runs, by params.NAME, tags.NAME, experiment, status or user. Repeatable. "
            "`--sort runs` sorts groups by their number of runs.",
        ),
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="List deleted runs.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="The most runs or groups to list.")] = 50,
    json: Json = False,
) -> None:
    """List runs, the newest first."""
    with command(json) as session:
        if group:
            list_groups(
                session,
                group,
                experiments=[experiment] if experiment else [],
                query=filter,
                sort=[sorting(key) for key in sort or ()],
                lifecycle="deleted" if deleted else "active",
                limit=limit,
            )
            return

        asked = RunSearch(
            experiments=[experiment] if experiment else [],
            query=filter,
            sort=[sorting(key) for key in sort or ()],
            lifecycle="deleted" if deleted else "active",
            wait_s=_WAIT_S,
        )
        with query_pointed_at(session, filter):
            found = all_found(session, asked, limit)
        metrics = metrics_asked_for(filter, asked.sort)
        quiet = stalled(session, found.runs)
        best = best_values(session, found, asked.sort)
        session.show(
            [_as_data(run, quiet, best) for run in found.runs],
            views.runs(found.runs, filtered=bool(filter), metrics=metrics, quiet=quiet, best=best),
        )
        if not found.runs and not filter:
            session.say_unread_store()
        # Without a Lab the runs that are shown are read, and no others.
        alone = found.state.version == 0 and not found.state.complete
        if found.matched > len(found.runs) and alone:
            which = "first" if sort else "newest"
            session.say(f"These are the {len(found.runs)} {which} runs. A larger --limit shows more.")
        elif found.matched > len(found.runs):
            session.say(f"These are {len(found.runs)} of {found.matched} runs. A larger --limit shows more.")
        sorted_by_nothing(session, found, asked.sort)
        remarks(session, filter, found.doubts, found.state, alone=alone)


def _as_data(
    run: Run, quiet: Mapping[str, float], best: Mapping[str, Mapping[str, Best]]
) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(run)
    if run.run_id in quiet:
        found["stalled_s"] = round(quiet[run.run_id])
    if run.run_id in best:
        found["best"] = {
            key: {each.word: each.point.value, "step": each.point.step}
            for key, each in best[run.run_id].items()
        }
    return found


@runs.command("export")
def export_runs(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The file to write. Default: standard output."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write CSV, the only format.")] = True,
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", help="Name or id of an experiment.", autocompletion=experiment_names
        ),
    ] = "",
    filter: Annotated[
        str, typer.Option("--filter", metavar="QUERY", help="A query, as `genops runs list` takes it.")
    ] = "",
    sort: Annotated[
        list[str] | None,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="A column, as `genops runs list` takes it. Repeatable. Default: the newest run first.",
        ),
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Export deleted runs.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The most runs to write. Default: all.")
    ] = None,
    spreadsheet: Annotated[
        bool,
        typer.Option(
            "--spreadsheet",
            help="Put a ' before texts that begin with = + - or @, which a spreadsheet takes for formulas. "
            "Default: every cell is exact.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Export runs as CSV, with parameters, latest metrics and tags. A file that exists is never overwritten."""
    with command(json) as session:
        if file is None and (json or session.notebook):
            raise InvalidRequest(
                "The name of the file is missing.", hint="Give one: genops runs export --csv runs.csv"
            )
        if file is not None and os.path.lexists(file):
            raise is_there(file)

        by = [sorting(key) for key in sort or ()]
        asked = RunSearch(
            experiments=[experiment] if experiment else [],
            query=filter,
            sort=by or [RunSort(column="start_time", descending=True)],
            lifecycle="deleted" if deleted else "active",
        )
        with query_pointed_at(session, filter):
            exported = Exported(session, asked, limit)
        with contextlib.closing(exported):
            lines = exported.lines(spreadsheet=spreadsheet)
            if file is None:
                sys.stdout.writelines(lines)
            else:
                write_new(file, lines)
                answer = {"path": str(file), "runs": exported.count, "columns": exported.columns}
                session.show(answer, views.exported(str(file), exported.count, len(exported.columns)))
        for key in by:
            if "." in key.column and key.column not in exported.columns:
                session.say(f"No run here has {key.column}, so nothing is sorted by it.")
        remarks(session, filter, exported.found.doubts, exported.found.state)


@runs.command("show")
def show_run(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help=RUNS,
            autocompletion=run_ids,
        ),
    ] = "latest",
    link: Annotated[
        bool, typer.Option("--link", help="Show the addresses that open the run in a browser.")
    ] = False,
    output: Annotated[
        bool, typer.Option("--output", help="Show the beginning and the end of what the run printed.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a run: parameters, metrics, models and artifacts."""
    with command(json) as session:
        if link:
            links = session.call(ExperimentsService.get_run_links, run_id=run)
            session.show(links, views.links(links))
            if links.why and not json:
                session.say(f"{links.why} {links.hint}")
            return
        if output:
            printed = session.call(ExperimentsService.get_run_output, run_id=run)
            session.show(printed, views.output(printed))
            return
        detail = session.call(ExperimentsService.get_run, run_id=run)

        found = extremes_of_run(session, detail)
        data = {**msgspec.to_builtins(detail), "extremes": points_as_data(found)}
        session.show(data, views.run(detail, found))


@runs.command("compare")
def compare_runs(
    run: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help=RUNS, autocompletion=run_ids),
    ],
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            metavar="RUN",
            help="The run that the others are compared with. Default: the first run.",
            autocompletion=run_ids,
        ),
    ] = "",
    repeats: Annotated[
        list[str] | None,
        typer.Option(
            "--repeats",
            metavar="NAME",
            help="A parameter or tag in which repeats of one configuration differ. Repeatable. "
            "Default: the usual names of seeds.",
        ),
    ] = None,
    single: Annotated[bool, typer.Option("--single", help="Treat no run as a repeat of another.")] = False,
    json: Json = False,
) -> None:
    """Compare runs: parameters, metrics, code, packages and files."""
    with command(json) as session:
        if single and repeats:
            raise InvalidRequest("--repeats and --single exclude each other.", hint="Give one of them.")

        body = ComparisonQuery(run_ids=run, baseline=baseline, repeats=[] if single else repeats or None)
        found = session.call(ExperimentsService.compare_runs, body=body)
        session.show(found, comparison(found))


@runs.command("restore")
def restore_run(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help=RUNS,
            autocompletion=run_ids,
        ),
    ] = "latest",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A file or a folder. Default: a new file in this folder."
        ),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(
            "--diff", metavar="PATH", help="Write the uncommitted changes to this file, for `git apply`."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write the code of a run into a notebook, to run it again. A file that exists is never overwritten."""
    with command(json) as session:
        if diff is not None:
            if output is not None:
                raise InvalidRequest(
                    "--output and --diff exclude each other.",
                    hint="Run the command twice: with --output for the notebook, with --diff for the changes.",
                )
            _write_patch(session, run, diff)
            return

        restored = session.call(RestoringService.restore_notebook, run_id=run)
        path = free_path(Path(restored.name)) if output is None else output
        if path.is_dir():
            path = free_path(path / restored.name)
        write_new(path, jsons.dumps(restored.notebook, indent=1, ensure_ascii=False) + "\n")
        answer = _without_content(restored, path)
        session.show(answer, views.restored(restored, str(path)))


def _without_content(restored: RestoredNotebook, path: Path) -> dict[str, object]:
    answer: dict[str, object] = msgspec.to_builtins(restored)
    del answer["notebook"], answer["name"]
    return {"path": str(path), **answer}


def _write_patch(session: Session, run: str, path: Path) -> None:
    patch = session.call(RestoringService.get_patch, run_id=run)
    write_new(path, patch.text)
    answer = {
        "path": str(path),
        "run_id": patch.run_id,
        "git_commit": patch.git_commit,
        "files": patch.files,
        "left_out": patch.left_out,
        "redacted": patch.redacted,
    }
    session.show(answer, views.patch(patch, str(path)))


@runs.command("tag")
def tag_runs(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|NAME=VALUE",
            help="Runs (an id, a unique prefix, a unique name or 'latest'), then the tags to set.",
            autocompletion=run_ids,
        ),
    ],
    remove: Annotated[
        list[str] | None,
        typer.Option("--remove", metavar="NAME", help="A tag to remove. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Set and remove tags of runs."""
    with command(json) as session:
        refs = [word for word in words if "=" not in word]
        pairs = [word.partition("=") for word in words if "=" in word]
        if not refs or any(not name for name, _, _ in pairs):
            raise InvalidRequest(
                "A run or the name of a tag is missing.", hint="Write: genops runs tag latest team=vision"
            )
        body = RunTags(set={name: value for name, _, value in pairs}, remove=remove or [])
        if not body.set and not body.remove:
            raise InvalidRequest("No tag is given.", hint="Give NAME=VALUE, or --remove NAME.")
        # Every run is looked up first: where one is missing, no run is changed.
        ids = dict.fromkeys(session.call(ExperimentsService.get_run_links, run_id=ref).run_id for ref in refs)
        for run_id in ids:
            session.call(RunTableService.tag_run, run_id=run_id, body=body)
        session.show(list(ids), views.changed(list(ids), "tagged"))


@runs.command("delete")
def delete_runs(
    run: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help=RUNS, autocompletion=run_ids),
    ],
    json: Json = False,
) -> None:
    """Delete runs; `genops runs undelete` restores them."""
    with command(json) as session:
        deleted_runs = session.call(RunTableService.delete_runs, body=RunIds(run_ids=run))
        session.show(deleted_runs.run_ids, views.changed(deleted_runs.run_ids, "deleted"))
        which = "this run" if len(deleted_runs.run_ids) == 1 else "one of these runs"
        for name in deleted_runs.serving:
            session.say(
                f"Deployment {name} serves a model of {which} and keeps running. "
                f"`genops deployments stop {name}` stops it."
            )


@runs.command("undelete")
def undelete_runs(
    run: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Ids of deleted runs, or unique prefixes of them.")
    ],
    json: Json = False,
) -> None:
    """Restore deleted runs. `genops runs list --deleted` lists them."""
    with command(json) as session:
        back = session.call(RunTableService.undelete_runs, body=RunIds(run_ids=run))
        session.show(back.run_ids, views.changed(back.run_ids, "restored"))


@runs.command("optimize-db")
def optimize_database(json: Json = False) -> None:
    """Speed up run searches: run ANALYZE on MLflow's SQLite file."""
    with command(json) as session:
        state = session.call(RunTableService.analyze_runs)
        session.show(state, views.state(state))
