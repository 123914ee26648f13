"""``genops prompts``."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paging import every_page
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.prompts.models import (
    ComparedVersions,
    MovePromptAlias,
    NewPromptVersion,
    RemovePromptAlias,
    Turn,
)
from genops_lab.genai.prompts.service import PromptsService
from genops_lab.genai.prompts.trial_models import PromptTrial, TrialModel
from genops_lab.genai.prompts.trials import PromptTrials
from genops_lab.runtime.prompts import parsed, turns_of

from .answer_evaluations import data_of
from .grammar import noun
from .prompt_optimizations import Data, MaxTokens, prompt_optimizations
from .session import Calls, Json, Yes, command
from .views import prompts as views
from .waiting import followed

prompts = noun()

Name = Annotated[str, typer.Argument(metavar="PROMPT", help="A prompt: NAME, NAME@ALIAS or NAME/NUMBER.")]
Plain = Annotated[str, typer.Argument(metavar="NAME", help="The name of a prompt.")]


@prompts.command("list")
def list_prompts(json: Json = False) -> None:
    """List prompts, last changed first."""
    with command(json) as session:
        found = session.every(PromptsService.list_prompts, key="name")
        session.show(found, views.prompts(found))
        if not found:
            session.say_unread_store()


@prompts.command("show")
def show_prompt(
    name: Name,
    versions: Annotated[bool, typer.Option("--versions", help="List all versions.")] = False,
    json: Json = False,
) -> None:
    """Show a version of a prompt, or list all versions."""
    with command(json) as session:
        plain, version = parsed(name)
        if versions:
            pages = every_page(
                lambda query: session.call(PromptsService.list_prompt_versions, name=plain, query=query),
                lambda each: each.version,
            )
            found = list(pages)
            session.show(found, views.versions(plain, found))
            return
        shown = session.call(PromptsService.get_prompt_version, name=plain, version=version)
        session.show(shown, views.version(shown))


@prompts.command("diff")
def diff_prompt(
    name: Plain,
    before: Annotated[str, typer.Argument(metavar="VERSION", help="A number or an alias.")],
    after: Annotated[
        str, typer.Argument(metavar="VERSION", help="A number or an alias. Default: the newest.")
    ] = "latest",
    json: Json = False,
) -> None:
    """Compare two versions of a prompt word by word."""
    with command(json) as session:
        query = ComparedVersions(before=before, after=after)
        found = session.call(PromptsService.compare_prompts, name=name, query=query)
        session.show(found, views.difference(found))


@prompts.command("add")
def add_prompt(
    name: Plain,
    file: Annotated[
        str,
        typer.Option("--file", "-f", metavar="FILE", help="A file with the text; - for standard input."),
    ] = "",
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="The text itself.")] = "",
    message: Annotated[str, typer.Option("--message", metavar="TEXT", help="What changed.")] = "",
    alias: Annotated[
        str, typer.Option("--alias", metavar="ALIAS", help="An alias that shall name the version.")
    ] = "",
    schema: Annotated[
        str,
        typer.Option("--schema", metavar="FILE", help="A JSON file: the JSON Schema of an answer."),
    ] = "",
    tools: Annotated[
        str, typer.Option("--tools", metavar="FILE", help="A JSON file: a list of tools, as OpenAI's API.")
    ] = "",
    settings: Annotated[
        str,
        typer.Option(
            "--settings", metavar="JSON", help="Settings of a call, such as '{\"temperature\": 0}'."
        ),
    ] = "",
    expected: Annotated[
        str | None,
        typer.Option(
            "--expected",
            metavar="VERSION",
            help="Save nothing unless this version is the newest; '' for a new prompt. Default: any.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Save a text as the next version of a prompt.

    Lines that begin with system:, user: or assistant: begin a turn, if the first line does.
    """
    with command(json) as session:
        if bool(file) == bool(text):
            raise InvalidRequest("Give either --file or --text.", hint="genops prompts add NAME --file FILE")
        kind, turns = turns_of(text or _read(file).rstrip("\n"))
        body = NewPromptVersion(
            kind="chat" if kind == "chat" else "text", turns=msgspec.convert(turns, list[Turn]),
            message=message, alias=alias, expected=expected,
            response_format=_json(_read(schema), schema, dict) if schema else None,
            tools=_json(_read(tools), tools, list) if tools else [],
            settings=_json(settings, "--settings", dict) if settings else {},
        )  # fmt: skip
        saved = session.call(PromptsService.save_prompt, name=name, body=body)
        session.show(saved, views.saved(saved))


@prompts.command("run")
def run_prompt(
    name: Plain,
    data: Data,
    versions: Annotated[
        list[str] | None,
        typer.Option(
            "--version", metavar="VERSION", help="A number or an alias. Repeatable. Default: the newest."
        ),
    ] = None,
    endpoints: Annotated[
        list[str] | None,
        typer.Option("--endpoint", metavar="NAME", help="A name of genops endpoints list. Repeatable."),
    ] = None,
    deployments: Annotated[
        list[str] | None, typer.Option("--deployment", metavar="NAME", help="A deployment. Repeatable.")
    ] = None,
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="An endpoint: its address before /chat/completions.")
    ] = "",
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="MODEL", help="With --url: a model. Repeatable.")
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="SECRET", help="With --url: the name of the secret with its key.")
    ] = "",
    price_input: Annotated[
        float | None,
        typer.Option(
            "--price-input", metavar="PRICE", help="Price of a million input tokens. Default: unknown."
        ),
    ] = None,
    price_output: Annotated[
        float | None,
        typer.Option(
            "--price-output", metavar="PRICE", help="Price of a million output tokens. Default: unknown."
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", metavar="NUMBER", help="The first rows. Default: 20.")] = 20,
    max_tokens: MaxTokens = 0,
    yes: Calls = False,
    json: Json = False,
) -> None:
    """Run versions of a prompt on rows, with one or more models.

    The cost at most is said before the first call.
    """
    with command(json) as session:
        if bool(models) != bool(url) or not (models or deployments or endpoints):
            raise InvalidRequest(
                "No model is named.",
                hint="Give --endpoint NAME, --deployment NAME, or --url URL with --model MODEL.",
            )
        if (price_input is None) != (price_output is None):
            raise InvalidRequest("A price has two parts.", hint="Give --price-input and --price-output.")
        price = None
        if price_input is not None and price_output is not None:
            price = Price(input=price_input, output=price_output)
        asked = [TrialModel(name=each, endpoint=each, price=price) for each in endpoints or []]
        asked += [TrialModel(name=each, deployment=each, price=price) for each in deployments or []]
        asked += [TrialModel(name=each, url=url, model=each, key=key, price=price) for each in models or []]
        body = PromptTrial(
            versions=versions or ["latest"], models=asked, data=data_of(data), rows=rows,
            settings={"max_tokens": max_tokens} if max_tokens else {},
        )  # fmt: skip
        cost = session.call(PromptTrials.get_trial_cost, name=name, body=body)
        session.agree_to_calls(views.cost(cost), yes)
        task = session.call(PromptTrials.start_trial, name=name, body=body)
        id = task.subject.removeprefix("prompt-trial:")
        session.say(f"The run on rows is {id}.")
        session.say(followed(session, task).message)
        table = session.call(PromptTrials.get_trial, trial=id)
        session.show(table, views.trial(table))


@prompts.command("alias")
def alias_prompt(
    name: Plain,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="An alias, such as production.")],
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A number or an alias. Default: the newest.")
    ] = "latest",
    delete: Annotated[bool, typer.Option("--delete", help="Delete the alias.")] = False,
    expected: Annotated[
        str | None,
        typer.Option(
            "--expected",
            metavar="VERSION",
            help="Move nothing unless the alias names this version now; '' for none. Default: any.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Point an alias at a version, or delete the alias."""
    with command(json) as session:
        if delete:
            query = RemovePromptAlias(expected=expected)
            found = session.call(PromptsService.delete_prompt_alias, name=name, alias=alias, query=query)
        else:
            body = MovePromptAlias(version=version, expected=expected)
            found = session.call(PromptsService.set_prompt_alias, name=name, alias=alias, body=body)
        session.show(found, views.prompts([found]))


@prompts.command("delete")
def delete_prompt(name: Name, yes: Yes = False, json: Json = False) -> None:
    """Delete a version (NAME/NUMBER) or a whole prompt (NAME)."""
    with command(json) as session:
        plain, version = parsed(name)
        if version == "latest":
            session.agree(f"The prompt {plain} with all its versions will be deleted.", yes)
            session.call(PromptsService.delete_prompt, name=plain)
            session.show({"name": plain}, views.deleted(f"The prompt {plain} is deleted."))
            return
        found = session.call(PromptsService.get_prompt_version, name=plain, version=version)
        aliases = f" and its aliases {', '.join(found.aliases)}" if found.aliases else ""
        session.agree(f"Version {found.version} of the prompt {plain}{aliases} will be deleted.", yes)
        left = session.call(PromptsService.delete_prompt_version, name=plain, version=found.version)
        session.show(left, views.deleted(f"Version {found.version} of the prompt {plain} is deleted."))


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="Give the path of a text file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"Cannot read {file}: {error}.", hint="Give a text file in UTF-8.") from error


def _json(text: str, where: str, kind: type) -> Any:
    try:
        found = json_text.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"{where} is not JSON: {error}.", hint="Correct the JSON.") from error
    if not isinstance(found, kind):
        expected = "an object" if kind is dict else "a list"
        raise InvalidRequest(f"{where} must be {expected}.", hint="Correct the JSON.")
    return found


prompts.add_typer(prompt_optimizations)
