"""The ``genops`` program: one grammar for terminals, CI and ``%genops`` in notebooks."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import typer

from genops_lab.version import __version__

from .grammar import END, Root

app = typer.Typer(
    name="genops",
    cls=Root,
    help="Track, profile, register and deploy models; run kernels on other machines.",
    epilog=END,
    no_args_is_help=True,
    subcommand_metavar="COMMAND ...",
    rich_markup_mode=None,
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


@functools.cache
def grammar() -> Any:
    """Build click's root command once; those below it follow when they are asked for."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the program; exits the process with the command's exit code."""
    grammar()(prog_name="genops")
