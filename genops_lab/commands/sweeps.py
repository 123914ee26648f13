"""``genops sweep``: one cell or script as many trials."""

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

from .session import EXIT_FAILED, Json, Session, command
from .views import sweeps as views

sweep = typer.Typer(help="One cell or script as many trials, in fresh kernels.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="A sweep's id, a unique prefix of it, or 'latest'.")]
_WAIT_S = 20.0


@sweep.command("run")
def run_sweep(
    file: Annotated[
        Path, typer.Argument(help="A Python script, or a notebook with a %%sweep or %%track cell.")
    ],
    space: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUES...", help="What to try: layers=1,2,3 'lr=loguniform(1e-4, 1e-1)'."
        ),
    ],
    metric: Annotated[
        str, typer.Option("--metric", help="What `genops.log` is given and trials are judged by.")
    ] = "",
    maximize: Annotated[bool, typer.Option("--maximize", help="More of the metric is better.")] = False,
    method: Annotated[str, typer.Option("--method", help="grid, random or tpe.")] = "",
    trials: Annotated[
        int, typer.Option("--trials", min=0, help="So many; the whole grid, or 20, without it.")
    ] = 0,
    parallel: Annotated[int, typer.Option("--parallel", help="So many at once on each kernel of --on.")] = 1,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="A kernel or a target to run on; may be given several times."),
    ] = None,
    objective: Annotated[str, typer.Option("--objective", help="The metric's last or best value.")] = "last",
    prune: Annotated[str, typer.Option("--prune", help="Stop bad trials early: median or hyperband.")] = "",
    seed: Annotated[int, typer.Option("--seed", help="Of the search.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0, help="Seconds of one trial; 0 for no limit.")
    ] = 0.0,
    hours: Annotated[float, typer.Option("--hours", min=0, help="Hours of the whole; 0 for no limit.")] = 0.0,
    name: Annotated[str, typer.Option("--name", help="The sweep's name; the file's without it.")] = "",
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="The experiment; the file's name without it.")
    ] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the end.")] = False,
    json: Json = False,
) -> None:
    """Start a sweep in the running JupyterLab and wait for its end. An interrupt stops the waiting alone.

    Exits with 1 where the sweep failed.
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
            raise InvalidRequest(f"{error}.", hint="See `genops sweep run --help`.") from error
        found = session.call(SweepsService.start_sweep, body=body)
        session.say(f"The sweep {found.id} has begun: {found.planned} trials. {first}".rstrip())
        if not detach:
            found = _followed(session, found)
        session.show(found, views.sweep(found))
        if found.state == "failed":
            raise typer.Exit(EXIT_FAILED)


@sweep.command("list")
def list_sweeps(json: Json = False) -> None:
    """List sweeps, the newest first."""
    with command(json) as session:
        found = session.every(SweepsService.list_sweeps, key="id")
        session.show(found, views.sweeps(found))


@sweep.command("show")
def show_sweep(sweep: Id = "latest", json: Json = False) -> None:
    """Show a sweep with its trials."""
    with command(json) as session:
        found = session.call(SweepsService.get_sweep, sweep_id=sweep, query=SweepQuery())
        session.show(found, views.sweep(found))


@sweep.command("stop")
def stop_sweep(sweep: Id, json: Json = False) -> None:
    """Interrupt a sweep's trials and start no more; it can be resumed."""
    with command(json) as session:
        found = session.call(SweepsService.stop_sweep, sweep_id=sweep)
        session.show(found, views.sweep(found))


@sweep.command("resume")
def resume_sweep(sweep: Id, json: Json = False) -> None:
    """Go on with a sweep that was stopped or failed."""
    with command(json) as session:
        found = session.call(SweepsService.resume_sweep, sweep_id=sweep)
        session.show(found, views.sweep(found))


def _followed(session: Session, sweep: Sweep) -> Sweep:
    told: set[int] = set()
    while True:
        for line in views.news(sweep, told):
            session.say(line)
        if sweep.ended_at is not None:
            return sweep
        query = SweepQuery(after=sweep.version, wait_s=_WAIT_S)
        sweep = session.call(SweepsService.get_sweep, sweep_id=sweep.id, query=query)


def _trial_of(file: Path, names: list[str]) -> tuple[str, list[SetupCell], str]:
    """A trial's code, what runs before it, and the sentence that says so. The sweep gives ``names`` their values."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {file}.", hint="Give a script or a notebook.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"{file} cannot be read: {error}.", hint="Give a script or a notebook."
        ) from error
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
        raise InvalidRequest(f"{file} is no notebook.", hint="Give a script or a notebook.") from error
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
        f"{file} must have one cell that begins with %%sweep, or one with %%track.",
        hint="That cell is the trial; those before it run first.",
    )
