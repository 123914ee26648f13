"""``genops prompts optimize``, ``optimizations`` and ``resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paging import every_page
from genops_lab.genai.prompts.optimization_models import NewOptimization
from genops_lab.genai.prompts.optimizations import PromptOptimizations
from genops_lab.genai.prompts.trial_models import OfPromptQuery, TrialModel
from genops_lab.genai.prompts.trials import PromptTrials

from .answer_evaluations import data_of, word_of
from .deployment_files import text_of
from .grammar import noun
from .optimizer_options import Money, Optimizer, Seed, optimizer_of
from .session import Calls, Json, Session, command
from .views import prompts as views
from .waiting import followed

prompt_optimizations = noun()

Data = Annotated[
    str,
    typer.Option("--data", metavar="ROWS", help="Rows: a file, or dataset:NAME or traces:QUERY of MLflow."),
]
MaxTokens = Annotated[
    int, typer.Option("--max-tokens", metavar="NUMBER", help="The most tokens of an answer. Default: 512.")
]


@prompt_optimizations.command("optimize")
def optimize_prompt(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of a prompt.")],
    data: Data,
    scorer: Annotated[
        list[str],
        typer.Option(
            "--scorer",
            metavar="SCORER",
            help="A kind of scorer such as exact, or a file with scorers. Repeatable.",
        ),
    ],
    optimizer_endpoint: Annotated[
        str, typer.Option("--optimizer-endpoint", metavar="NAME", help="The endpoint that writes new texts.")
    ],
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="NAME", help="The endpoint that answers the prompt.")
    ] = "",
    deployment: Annotated[
        str, typer.Option("--deployment", metavar="NAME", help="The deployment that answers the prompt.")
    ] = "",
    version: Annotated[
        str, typer.Option("--version", metavar="VERSION", help="A number or an alias. Default: the newest.")
    ] = "latest",
    optimizer: Optimizer = "metaprompt",
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="NUMBER", help="Texts that are written. Default: 1.")
    ] = 1,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="SHARE", help="The share of rows that judge the result. Default: 0.5."
        ),
    ] = 0.5,
    rows: Annotated[
        int, typer.Option("--rows", metavar="NUMBER", help="The first rows. Default: 200.")
    ] = 200,
    seed: Seed = 0,
    money: Money = None,
    max_tokens: MaxTokens = 0,
    save: Annotated[
        bool,
        typer.Option(
            "--save/--no-save", help="Save a text that is better on the training rows. Default: save it."
        ),
    ] = True,
    yes: Calls = False,
    json: Json = False,
) -> None:
    """Let MLflow write a better text, judged on held-out rows.

    The cost at most is said before the first call. A better text becomes a version; no alias moves.
    """
    with command(json) as session:
        if bool(endpoint) == bool(deployment):
            raise InvalidRequest("Give either --endpoint or --deployment: the model that answers the prompt.")
        body = NewOptimization(
            version=version, data=data_of(data), rows=rows, rounds=rounds, seed=seed,
            answerer=TrialModel(name=endpoint or deployment, endpoint=endpoint, deployment=deployment),
            writer=TrialModel(name=optimizer_endpoint, endpoint=optimizer_endpoint), money=money,
            held_out=held_out, optimizer=optimizer_of(optimizer), **_scorers(scorer),
            settings={"max_tokens": max_tokens} if max_tokens else {}, save=save,
        )  # fmt: skip
        cost = session.call(PromptOptimizations.get_optimization_cost, name=name, body=body)
        session.agree_to_calls(views.optimization_cost(cost), yes)
        begun = session.call(PromptOptimizations.start_optimization, name=name, body=body)
        session.say(f"The optimization is {begun.optimization.id}.")
        followed(session, begun.task)
        _show(session, begun.optimization.id)


@prompt_optimizations.command("optimizations")
def list_optimizations(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The name of a prompt. Default: all prompts.")
    ] = "",
    id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Show one optimization with its new text.")
    ] = "",
    save: Annotated[
        bool, typer.Option("--save", help="With --id: save the new text as a version of the prompt.")
    ] = False,
    json: Json = False,
) -> None:
    """List optimizations of prompts, or show one whole."""
    with command(json) as session:
        if save and not id:
            raise InvalidRequest(
                "--save needs --id.", hint="genops prompts optimizations NAME lists their ids."
            )
        if save:
            session.call(PromptOptimizations.save_optimized, optimization=id)
        if id:
            _show(session, id)
            return
        pages = every_page(
            lambda query: session.call(
                PromptOptimizations.list_optimizations,
                query=OfPromptQuery(name=name, limit=query.limit, after=query.after),
            ),
            lambda each: each.id,
        )
        found = list(pages)
        session.show(found, views.optimizations(found))


@prompt_optimizations.command("resume")
def resume_prompt(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of a run on rows, or of an optimization.")],
    json: Json = False,
) -> None:
    """Go on with a run on rows or an optimization. Kept answers are not asked for again."""
    with command(json) as session:
        try:
            task = session.call(PromptTrials.resume_trial, trial=id)
        except NotFound:
            try:
                begun = session.call(PromptOptimizations.resume_optimization, optimization=id)
            except NotFound as error:
                raise NotFound(
                    f"There is neither a run on rows nor an optimization {id!r}.",
                    hint="Its id is in the first lines of the command that began it.",
                ) from error
            followed(session, begun.task)
            _show(session, id)
            return
        session.say(followed(session, task).message)
        table = session.call(PromptTrials.get_trial, trial=id)
        session.show(table, views.trial(table))


def _show(session: Session, id: str) -> None:
    found = session.call(PromptOptimizations.get_optimization, optimization=id)
    compared = None
    if found.has_text:
        compared = session.call(PromptOptimizations.compare_optimized, optimization=id)
    session.show(found, views.optimization(found, compared))


def _scorers(given: list[str]) -> dict[str, str]:
    """Return the scorers of all options as one text, and the folder of the files that they name."""
    files = [each for each in given if Path(each).is_file()]
    if len(files) > 1:
        raise InvalidRequest("Two files with scorers were given.", hint="Write all scorers into one file.")
    found: dict[str, Any] = {}
    if files:
        text = text_of(files[0])
        try:
            found = dict(msgspec.yaml.decode(text))
        except (msgspec.DecodeError, TypeError, ValueError):  # the service names the line
            return {"scorers": text, "scorers_name": files[0]}
    kinds = [{"scorer": word_of(each)} for each in given if each not in files]
    found["scorers"] = [*(found.get("scorers") or []), *kinds]
    folder = Path(files[0]).parent if files else Path.cwd()
    return {
        "scorers": msgspec.yaml.encode(found).decode(),
        "scorers_name": files[0] if files else "--scorer",
        "folder": str(folder.absolute()),
    }
