"""``genops evaluate``: evaluations of answers, which are verbs of ``genops evaluations``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest
from genops_lab.genai.evaluations.mlflow_rows import is_in_mlflow
from genops_lab.genai.evaluations.models import AnswersReport, BegunAnswers, NewAnswerEvaluation, NewScores
from genops_lab.genai.evaluations.service import AnswersService

from .completion import target_names
from .deployment_files import text_of
from .document import Document, Note
from .grammar import noun
from .session import NOT_WRITTEN, Json, Session, Yes, command
from .views import answers as views
from .waiting import followed
from .writing import append_whole

answer_evaluations = noun()

#: Answers are missing, or a scorer stopped before it scored all of them.
EXIT_MISSING = 8

Result = Annotated[str, typer.Argument(metavar="RESULT", help="The id of an evaluation of answers.")]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="An evaluation file, kind: Evaluation; - is standard input.")
]
Data = Annotated[
    str,
    typer.Option(
        "--data", metavar="ROWS", help="Rows in place of the file's: a file, traces:QUERY, dataset:NAME."
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="TARGET",
        help="Ask and score on the host of this connected target. Default: this machine.",
        autocompletion=target_names,
    ),
]
Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Append the report to this file, such as a job summary."),
]


@answer_evaluations.command("run")
def run_evaluation(
    file: File,
    data: Data = "",
    on: On = "",
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Ask models for answers, score them, and report what they show.

    The exit code is 8 if answers or scores are missing. `genops evaluate resume` asks for them.
    """
    with command(json) as session:
        body = _new(file, data, on)
        if on:  # said before a key leaves this machine
            session.say(session.call(AnswersService.plan_answers, body=body).keys)
        begun = session.call(AnswersService.begin_answers, body=body)
        _followed(session, begun, markdown)


@answer_evaluations.command("plan")
def plan_evaluation(file: File, data: Data = "", on: On = "", json: Json = False) -> None:
    """Say what an evaluation costs at most, and what it can show.

    No model is asked. Rows that are nearly the same, or in the training data, are named.
    """
    with command(json) as session:
        found = session.call(AnswersService.plan_answers, body=_new(file, data, on))
        session.show(found, views.plan(found))


@answer_evaluations.command("resume")
def resume_evaluation(result: Result, markdown: Markdown = None, json: Json = False) -> None:
    """Ask for the answers that are missing.

    Answers that are there are kept. Failed calls and those that were in flight when a process ended are made again.
    """
    with command(json) as session:
        _followed(session, session.call(AnswersService.resume_answers, id=result), markdown)


@answer_evaluations.command("score")
def score_evaluation(
    result: Result,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "--scorer",
            metavar="SCORER",
            help="A kind of scorer such as exact, or a file with scorers. Give it several times for more. "
            "Without it, the report is made again with people's labels of now.",
        ),
    ] = None,
    markdown: Markdown = None,
    json: Json = False,
) -> None:
    """Score the kept answers by more scorers. No new answer is paid for."""
    with command(json) as session:
        begun = None
        for body in [_scores(each) for each in scorer or []] or [NewScores()]:
            begun = session.call(AnswersService.score_answers, id=result, body=body)
            followed(session, begun.task)
        assert begun is not None
        _shown(session, begun.evaluation.id, markdown)


@answer_evaluations.command("delete")
def delete_evaluation(result: Result, yes: Yes = False, json: Json = False) -> None:
    """Delete the answers and scores of an evaluation of answers. Runs and traces in MLflow stay."""
    with command(json) as session:
        session.agree(f"The answers and scores of {result} will be deleted.", yes)
        left = session.call(AnswersService.delete_answer_evaluation, id=result).left
        notes = [Note(each) for each in (f"{result} is deleted.", left) if each]
        session.show({"deleted": result, "left": left}, Document(notes))


def _scores(scorer: str) -> NewScores:
    if Path(scorer).is_file():
        return NewScores(text=text_of(scorer), name=scorer)
    return NewScores(text=f"scorers:\n- scorer: {word_of(scorer)}\n", name="--scorer")


def _new(file: str, data: str, on: str) -> NewAnswerEvaluation:
    return NewAnswerEvaluation(
        text=text_of(file),
        name=file,
        folder=str((Path.cwd() if file == "-" else Path(file).parent).absolute()),
        data=data_of(data),
        on=on,
    )


def data_of(given: str) -> str:
    """Return rows of MLflow as they are named, and files by their whole path."""
    if not given or is_in_mlflow(given):
        return given
    return str(Path(given).expanduser().absolute())


def word_of(kind: str) -> str:
    """Return a kind of scorer. Raises InvalidRequest for other text."""
    if not kind.replace("_", "").replace("-", "").isalnum():
        raise InvalidRequest(
            f"There is no file {kind!r}, and it is no kind of scorer.",
            hint="Give a kind such as exact, or a file with the list scorers.",
        )
    return kind


def _followed(session: Session, begun: BegunAnswers, markdown: Path | None) -> None:
    id = begun.evaluation.id
    session.say(f"The evaluation is {id}.")
    try:
        followed(session, begun.task)
    except KeyboardInterrupt:
        session.say(f"The answers so far are kept. Go on with: genops evaluate resume {id}")
        raise
    except GenOpsError as error:
        hint = error.hint or f"The answers so far are kept. Go on with: genops evaluate resume {id}"
        raise Failed(error.message, hint=hint) from error
    _shown(session, id, markdown)


def _shown(session: Session, id: str, markdown: Path | None) -> None:
    found = session.call(AnswersService.get_answer_evaluation, id=id)
    session.show(found, views.report(found))
    _keep_markdown(found, markdown)
    if found.evaluation.missing or found.evaluation.unfinished:
        raise typer.Exit(EXIT_MISSING)


def _keep_markdown(found: AnswersReport, file: Path | None) -> None:
    if file is None:
        return
    try:
        append_whole(file, views.markdown(found))
    except OSError as error:
        raise Failed(
            f"The report cannot be written to {file}: {error.strerror}.",
            code=NOT_WRITTEN,
            hint=f"Free some disk space, or give another file: genops evaluate show {found.evaluation.id}",
        ) from error
