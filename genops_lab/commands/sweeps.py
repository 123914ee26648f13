"""``genops sweeps``: one cell or script as many trials."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.runtime.needed_cells import needed_cells
from genops_lab.runtime.scopes import cell_body
from genops_lab.runtime.setup_cells import Setup, earlier_cell, is_left_out
from genops_lab.sweeps.models import NewSweep, SetupCell, Sweep, SweepQuery
from genops_lab.sweeps.service import SweepsService

from .grammar import noun
from .session import EXIT_FAILED, Json, Session, Yes, command
from .views import lab as lab_views
from .views import sweeps as views

sweeps = noun()

Id = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's id, a unique prefix of it, or 'latest'.")]
_WAIT_S = 20.0


@sweeps.command("run")
def run_sweep(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A Python script, or a notebook with a %%sweep or %%track cell."),
    ],
    space: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUES", help="Values to try, such as: layers=1,2,3 'lr=loguniform(1e-4, 1e-1)'."
        ),
    ],
    metric: Annotated[
        str,
        typer.Option(
            "--metric", metavar="NAME", help="The metric, of `genops.log`, by which trials are compared."
        ),
    ] = "",
    maximize: Annotated[
        bool, typer.Option("--maximize", help="The largest value of the metric is the best.")
    ] = False,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="METHOD",
            help="grid, random or tpe. Default: grid for lists of values, else tpe, or random without --metric.",
        ),
    ] = "",
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            min=0,
            help="The number of trials. Default: the whole grid, or 20.",
            show_default=False,
        ),
    ] = 0,
    parallel: Annotated[
        int, typer.Option("--parallel", help="The trials at once on each kernel or target.")
    ] = 1,
    on: Annotated[
        list[str] | None,
        typer.Option(
            "--on",
            metavar="KERNEL",
            help="A kernelspec or a target that runs trials. Repeatable. Default: this machine.",
        ),
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            "--objective", metavar="VALUE", help="The value of the metric that counts: last or best."
        ),
    ] = "last",
    prune: Annotated[
        str,
        typer.Option(
            "--prune", metavar="RULE", help="Stop bad trials early: median or hyperband. Default: never."
        ),
    ] = "",
    seed: Annotated[int, typer.Option("--seed", help="The seed of the search.")] = 0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="The most seconds of a trial; 0 is no limit."
        ),
    ] = 0.0,
    hours: Annotated[
        float, typer.Option("--hours", min=0, help="The most hours of the sweep; 0 is no limit.")
    ] = 0.0,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name of the sweep. Default: that of the file.")
    ] = "",
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", metavar="NAME", help="The experiment. Default: the name of the file."
        ),
    ] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end of the sweep.")] = False,
    json: Json = False,
) -> None:
    """Run a sweep in the running JupyterLab, and wait for its end.

    An interrupt ends the waiting, not the sweep. The exit code is 1 if the sweep failed.
    """
    with command(json) as session:
        names = [text.partition("=")[0].strip() for text in space]
        code, setup, first = _trial_of(file, names)
        asked: dict[str, Any] = {
            "code": code,
            "setup": setup,
            "space": space,
            "name": name or file.stem,
            "experiment": experiment or file.stem,
            "method": method,
            "metric": metric,
            "direction": "maximize" if maximize else "minimize",
            "objective": objective,
            "trials": trials,
            "seed": seed,
            "parallel": parallel,
            "on": on or [],
            "prune": prune,
            "timeout_s": timeout,
            "hours": hours,
            "cwd": str(Path.cwd()),
        }

        try:
            body = msgspec.convert(asked, NewSweep)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"{error}.", hint="See `genops sweeps run --help`.") from error
        found = session.call(SweepsService.start_sweep, body=body)
        session.say(f"Sweep {found.id} has started, with {found.planned} trials. {first}".rstrip())
        if not detach:
            found = _followed(session, found)
        session.show(found, views.sweep(found))
        if found.state == "failed":
            raise typer.Exit(EXIT_FAILED)


@sweeps.command("list")
def list_sweeps(json: Json = False) -> None:
    """List sweeps, the newest first."""
    with command(json) as session:
        found = session.every(SweepsService.list_sweeps, key="id")
        session.show(found, views.sweeps(found))


@sweeps.command("show")
def show_sweep(sweep: Id = "latest", json: Json = False) -> None:
    """Show a sweep and its trials."""
    with command(json) as session:
        found = session.call(SweepsService.get_sweep, sweep_id=sweep, query=SweepQuery())
        session.show(found, views.sweep(found))


@sweeps.command("delete")
def delete_sweep(sweep: Id, yes: Yes = False, json: Json = False) -> None:
    """Delete a sweep that has ended. Its runs stay in MLflow."""
    with command(json) as session:
        found = session.call(SweepsService.get_sweep, sweep_id=sweep, query=SweepQuery())
        session.agree(f"The sweep {found.id} ({found.name}) will be deleted. Its runs stay in MLflow.", yes)
        session.call(SweepsService.delete_sweep, sweep_id=found.id)
        session.show({"id": found.id, "deleted": True}, lab_views.done(f"Sweep {found.id} is deleted."))


@sweeps.command("stop")
def stop_sweep(sweep: Id, json: Json = False) -> None:
    """Stop a sweep and its trials. `genops sweeps resume` continues it."""
    with command(json) as session:
        found = session.call(SweepsService.stop_sweep, sweep_id=sweep)
        session.show(found, views.sweep(found))


@sweeps.command("resume")
def resume_sweep(sweep: Id, json: Json = False) -> None:
    """Resume a sweep that was stopped or failed."""
    with command(json) as session:
        found = session.call(SweepsService.resume_sweep, sweep_id=sweep)
        session.show(found, views.sweep(found))


def _followed(session: Session, sweep: Sweep) -> Sweep:
    printed: set[int] = set()
    while True:
        for line in views.news(sweep, printed):
            session.say(line)
        if sweep.ended_at is not None:
            return sweep
        query = SweepQuery(after=sweep.version, wait_s=_WAIT_S)
        sweep = session.call(SweepsService.get_sweep, sweep_id=sweep.id, query=query)


def _trial_of(file: Path, names: list[str]) -> tuple[str, list[SetupCell], str]:
    """Return a trial's code, the cells that run before it, and a sentence about them.

    The sweep gives ``names`` their values.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {file}.", hint="Give a script or a notebook.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"Cannot read {file}: {error}.", hint="Give a script or a notebook.") from error
    if file.suffix != ".ipynb":
        path = str(file.resolve())
        folder = str(file.resolve().parent)
        named = f"import sys\nsys.argv = [{path!r}]\nsys.path.insert(0, {folder!r})\n__file__ = {path!r}"
        return text, [SetupCell(source=named, label="that names the script")], ""
    return _cells_of(file, text, names)


def _cells_of(file: Path, text: str, names: list[str]) -> tuple[str, list[SetupCell], str]:
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        cells = jsons.loads(text)["cells"]
        sources = [
            "".join(one["source"]) if isinstance(one["source"], list) else str(one["source"])
            for one in cells
            if one["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"{file} is not a notebook.", hint="Give a script or a notebook.") from error
    for magic in ("%%sweep", "%%track"):
        places = [number for number, source in enumerate(sources) if source.lstrip().split()[:1] == [magic]]
        if len(places) == 1:
            place = places[0]
            trial = cell_body(sources[place])
            earlier = [
                earlier_cell(source, f"number {number + 1}")
                for number, source in enumerate(sources[:place])
                if not is_left_out(source)
            ]
            transformer: Any = TransformerManager
            found = needed_cells(earlier, trial, names, transformer().transform_cell)
            setup = [SetupCell(source=source, label=label) for label, source in found.sources]
            return trial, setup, Setup.of(found).summary()
    raise InvalidRequest(
        f"{file} must have exactly one cell that begins with %%sweep or %%track.",
        hint="Put %%sweep above the cell that each trial runs.",
    )
