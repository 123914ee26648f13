"""The ``genops`` program: one grammar for terminals, CI and ``%genops`` in notebooks."""

from __future__ import annotations

import functools
import sys
from typing import Annotated, Any

import typer

from genops_lab.version import __version__

from .deployments import deploy, deployments
from .folders import folders, pull, push
from .kernels import kernels
from .lab import audit, compute, doctor, quickstart, status
from .models import models
from .profiles import profile, profiles
from .runs import experiments, runs
from .sweeps import sweep
from .targets import targets

EXIT_USAGE = 2

app = typer.Typer(
    name="genops",
    help="GenOps Lab: targets, runs, profiles, models and deployments, from the command line.",
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict or confirmation needed, "
    "5 backend unavailable, 6 trace damaged or empty, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("deploy")(deploy)
app.add_typer(deployments, name="deployments")
app.add_typer(models, name="models")
app.add_typer(runs, name="runs")
app.add_typer(experiments, name="experiments")
app.add_typer(sweep, name="sweep")
app.add_typer(profiles, name="profiles")
app.add_typer(profile, name="profile")
app.add_typer(compute, name="compute")
app.add_typer(targets, name="targets")
app.add_typer(kernels, name="kernels")
app.add_typer(folders, name="folders")
app.command("pull")(pull)
app.command("push")(push)
app.command("quickstart")(quickstart)
app.command("status")(status)
app.command("audit")(audit)
app.command("doctor")(doctor)


@app.command("help")
def show_help(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Such as: runs list.")
    ] = None,
) -> None:
    """Show the help of a command, or of all."""
    shown = ctx.parent or ctx
    for word in words or ():
        found = shown.command.get_command(shown, word) if hasattr(shown.command, "get_command") else None
        if found is None:
            print(f"There is no command {word!r} in `{shown.command_path}`.", file=sys.stderr)
            raise typer.Exit(EXIT_USAGE)
        shown = type(shown)(found, info_name=word, parent=shown)
    print(shown.get_help())


@functools.cache
def grammar() -> Any:
    """Build click's commands of all words: half the time of a short command, and the same each time."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the program; exits the process with the command's exit code."""
    grammar()(prog_name="genops")
