"""``genops help``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from genops_lab.core.errors import InvalidRequest

from .document import Document, Lines
from .grammar import renamed
from .session import Json, command


def help(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="A command, such as: runs list. Default: all."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the help of a command, or of all commands."""
    with command(json) as session:
        shown: Any = ctx.parent or ctx
        asked, said = renamed(words or [])
        if said:
            session.say(said)
        for word in asked:
            if word not in _names(shown):
                raise InvalidRequest(
                    f"There is no command {word!r} in `{shown.command_path}`.",
                    hint=f"See `genops help{shown.command_path.removeprefix('genops')}`.",
                )
            shown = type(shown)(shown.command.get_command(shown, word), info_name=word, parent=shown)
        text = shown.get_help()
        if session.json or session.notebook:
            session.show(_described(shown.command, shown), Document([Lines(text.splitlines())]))
        else:  # as `--help` prints it, without Rich
            print(text)


def _names(ctx: Any) -> list[str]:
    """Return the names of the commands below one; none below a verb."""
    found: list[str] = ctx.command.list_commands(ctx) if hasattr(ctx.command, "list_commands") else []
    return found


def _described(shown: Any, ctx: Any) -> dict[str, Any]:
    """Return a command with its parameters, and those below it, as data."""
    below = [(name, shown.get_command(ctx, name)) for name in _names(ctx)]
    parameters = [
        {
            "name": each.name,
            "kind": each.param_type_name,
            "options": [*each.opts, *each.secondary_opts] if each.param_type_name == "option" else [],
            "required": each.required,
            "help": getattr(each, "help", "") or "",
        }
        for each in shown.params
    ]
    return {
        "command": ctx.command_path,
        "help": shown.help or "",
        "parameters": parameters,
        "commands": [_described(each, type(ctx)(each, info_name=name, parent=ctx)) for name, each in below],
    }
