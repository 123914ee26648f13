"""``genops runs`` and ``genops experiments``."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genops_lab.core.errors import InvalidRequest

from .completion import experiment_names, run_ids
from .session import Json, Session, command
from .views import runs as views
from .writing import free_path, write_new

if TYPE_CHECKING:
    from genops_lab.experiments.restoring.models import RestoredNotebook

runs = typer.Typer(help="Runs in MLflow.", no_args_is_help=True)
experiments = typer.Typer(help="Experiments in MLflow.", no_args_is_help=True)


@runs.command("list")
def list_runs(
    experiment: Annotated[
        str,
        typer.Option(
            "--experiment", "-e", help="Name or id of an experiment.", autocompletion=experiment_names
        ),
    ] = "",
    filter: Annotated[
        str, typer.Option("--filter", help="MLflow filter, such as 'metrics.loss < 0.1'.")
    ] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    with command(json) as session:
        from genops_lab.experiments.models import RunQuery
        from genops_lab.experiments.service import ExperimentsService

        page = session.call(
            ExperimentsService.list_runs, query=RunQuery(experiment=experiment, filter=filter, limit=limit)
        )
        session.show(page.runs, views.runs(page.runs))
        if page.next_page_token:
            session.say(f"There are more than {limit} runs: see them with a larger --limit.")


@runs.command("show")
def show_run(
    run: Annotated[
        str, typer.Argument(help="Id, a unique prefix of it, or 'latest'.", autocompletion=run_ids)
    ] = "latest",
    json: Json = False,
) -> None:
    """Show a run with its parameters, metrics, models and artifacts."""
    with command(json) as session:
        from genops_lab.experiments.service import ExperimentsService

        detail = session.call(ExperimentsService.get_run, run_id=run)
        session.show(detail, views.run(detail))


@runs.command("restore")
def restore_run(
    run: Annotated[
        str, typer.Argument(help="Id, a unique prefix of it, or 'latest'.", autocompletion=run_ids)
    ] = "latest",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A file or a folder; without it, a free name here."
        ),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(
            "--diff", metavar="PATH", help="Write what was not committed, for `git apply`, instead."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make a notebook of the cells that a run kept. Nothing is ever overwritten."""
    with command(json) as session:
        if diff is not None:
            if output is not None:
                raise InvalidRequest(
                    "--output and --diff were both given.",
                    hint="Run it twice: once for the notebook, once for the changes.",
                )
            _write_patch(session, run, diff)
            return
        from genops_lab.experiments.restoring.service import RestoringService

        restored = session.call(RestoringService.restore_notebook, run_id=run)
        path = free_path(Path(restored.name)) if output is None else output
        if path.is_dir():
            path = free_path(path / restored.name)
        write_new(path, jsons.dumps(restored.notebook, indent=1, ensure_ascii=False) + "\n")
        answer = _without_content(restored, path)
        session.show(answer, views.restored(restored, str(path)))


def _without_content(restored: RestoredNotebook, path: Path) -> dict[str, object]:
    import msgspec

    answer: dict[str, object] = msgspec.to_builtins(restored)
    del answer["notebook"], answer["name"]
    return {"path": str(path), **answer}


def _write_patch(session: Session, run: str, path: Path) -> None:
    from genops_lab.experiments.restoring.service import RestoringService

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


@experiments.command("list")
def list_experiments(json: Json = False) -> None:
    """List experiments, the latest first."""
    with command(json) as session:
        from genops_lab.experiments.service import ExperimentsService

        found = session.call(ExperimentsService.list_experiments)
        session.show(found, views.experiments(found))
