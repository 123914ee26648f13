"""The ``genops`` program: one grammar for terminals, CI and ``%genops`` in notebooks."""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from genops_lab.version import __version__

EXIT_USAGE = 2
#: The module that has a word, under its name. It is imported when the word is asked for: none waits for the others.
_MODULES = {
    "deploy": "deployments",
    "pull": "folders",
    "push": "folders",
    **dict.fromkeys(("quickstart", "status", "audit", "doctor"), "lab"),
    "deployments": "deployments",
    "models": "models",
    "runs": "runs",
    "experiments": "runs",
    "sweep": "sweeps",
    "profiles": "profiles",
    "profile": "profiles",
    "compute": "lab",
    "targets": "targets",
    "kernels": "kernels",
    "folders": "folders",
}


class _Words(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        words: dict[str, Any] = {**dict.fromkeys(_MODULES), **self.commands}
        self.commands = words

    def get_command(self, ctx: Any, name: str) -> Any:
        if name in _MODULES and self.commands[name] is None:
            found = getattr(import_module(f".{_MODULES[name]}", __package__), name)
            alone = typer.Typer()
            if isinstance(found, typer.Typer):
                alone.add_typer(found, name=name)
            else:
                alone.command(name)(found)
            self.commands.update(typer.main.get_group(alone).commands)
        return super().get_command(ctx, name)


app = typer.Typer(
    name="genops",
    cls=_Words,
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
    """Build click's root command once; those below it follow when they are asked for."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the program; exits the process with the command's exit code."""
    grammar()(prog_name="genops")
