"""``genops labels``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.genai.labels.models import (
    FailureMode,
    FailureModes,
    FailureRows,
    MoreLabels,
    NewFailureMode,
    NewLabelQueue,
    SuggestedBy,
)
from genops_lab.genai.labels.service import LabelsService

from .document import Document, Lines, Note
from .grammar import noun
from .judge_alignments import judge_alignments
from .session import Json, Session, Yes, command
from .views import labels as views
from .views.traces import added as added_rows

labels = noun()

_QUEUE = typer.Argument(metavar="QUEUE", help="A queue: its name, the name's beginning, or its id.")


@labels.command("list")
def list_queues(json: Json = False) -> None:
    """List review queues of MLflow, newest first."""
    with command(json) as session:
        found = session.every(LabelsService.list_label_queues, key="id")
        session.show(found, views.queues(found))


@labels.command("show")
def show_queue(queue: Annotated[str, _QUEUE], json: Json = False) -> None:
    """Show how raters agree, and whether judges agree with them."""
    with command(json) as session:
        found = session.call(LabelsService.get_label_report, id=queue)
        session.show(found, views.report(found))


@labels.command("begin")
def begin_labels(
    result: Annotated[str, typer.Argument(metavar="RESULT", help="The id of an evaluation of answers.")],
    sample: Annotated[
        int, typer.Option("--sample", metavar="N", min=1, help="Rows to choose at random. Default: 50.")
    ] = 50,
    judge: Annotated[
        str,
        typer.Option("--judge", metavar="SCORER", help="Ask on this judge's scale. Default: the only judge."),
    ] = "",
    question: Annotated[
        str, typer.Option("--question", metavar="NAME", help="The name of the question.")
    ] = "",
    choice: Annotated[
        list[str] | None,
        typer.Option("--choice", metavar="TEXT", help="A choice, the worst first. Give 2 to 9 of them."),
    ] = None,
    instruction: Annotated[
        str, typer.Option("--instruction", metavar="TEXT", help="The text that tells raters what to look at.")
    ] = "",
    failures: Annotated[
        str,
        typer.Option(
            "--failures", metavar="SCORER", help="Choose answers that fail by this scorer, to note why."
        ),
    ] = "",
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Ask which is better: a model's answer, or the first model's to the row."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make a review queue of an evaluation, with rows chosen at random."""
    with command(json) as session:
        body = NewLabelQueue(
            evaluation=result, rows=sample, judge=judge, question=question, choices=choice or [],
            instruction=instruction, failures=failures, pairs=pairs,
        )  # fmt: skip
        made = session.call(LabelsService.begin_labels, body=body)
        session.show(made, views.begun(made))


@labels.command("add")
def add_disagreements(
    queue: Annotated[str, _QUEUE],
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", min=1, help="The most answers. Default: 20.")
    ] = 20,
    json: Json = False,
) -> None:
    """Add answers on which scorers disagree. They count for no rate of agreement."""
    with command(json) as session:
        made = session.call(LabelsService.add_label_disagreements, id=queue, body=MoreLabels(rows=rows))
        session.show(made, views.begun(made))


@labels.command("failures")
def show_failures(
    queue: Annotated[str, _QUEUE],
    mode: Annotated[
        str, typer.Argument(metavar="[MODE]", help="A failure mode: show its notes only.", show_default=False)
    ] = "",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name the failure mode of a suggested group.")
    ] = "",
    group: Annotated[
        int, typer.Option("--group", metavar="N", help="With --name: the number of the suggested group.")
    ] = 0,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="With --name: how an answer fails so.")
    ] = "",
    rubric: Annotated[
        str, typer.Option("--rubric", metavar="MODE", help="Print a scorer for this failure mode.")
    ] = "",
    answers: Annotated[
        list[str] | None,
        typer.Option(
            "--answer", metavar="TRACE", help="With --name: an answer that fails so. Can be given again."
        ),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="ENDPOINT", help="Let this model suggest groups.")
    ] = "",
    embeddings: Annotated[
        str,
        typer.Option(
            "--embeddings", metavar="MODEL", help="Suggest groups by embeddings of sentence-transformers."
        ),
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="With --model: do not ask before the call.")
    ] = False,
    dataset: Annotated[
        str,
        typer.Option("--dataset", metavar="NAME", help="With MODE: add its answers to this MLflow data set."),
    ] = "",
    json: Json = False,
) -> None:
    """Count failure modes, suggest groups of notes, and name a group."""
    with command(json) as session:
        if dataset:
            if not mode:
                raise InvalidRequest(
                    "--dataset needs a failure mode.",
                    hint=f"Give one: genops labels failures {queue!r} MODE --dataset {dataset!r}",
                )
            added = session.call(
                LabelsService.add_failure_rows, id=queue, mode=mode, body=FailureRows(dataset=dataset)
            )
            session.show(added, added_rows(added))
            return
        if model:
            _agree(session, queue, model, yes)
        if model or embeddings:
            by = SuggestedBy(endpoint=model, embeddings=embeddings)
            found = session.call(LabelsService.suggest_failure_groups, id=queue, body=by)
        else:
            found = session.call(LabelsService.list_failure_modes, id=queue)
        if name:
            traces = answers or []
            if not traces:
                if not 1 <= group <= len(found.suggested):
                    raise InvalidRequest(
                        f"There is no suggested group {group}.", hint=f"Groups: 1 to {len(found.suggested)}."
                    )
                traces = found.suggested[group - 1].trace_ids
            body = NewFailureMode(name=name, description=description, trace_ids=traces)
            found = session.call(LabelsService.name_failures, id=queue, body=body)
        if rubric or mode:
            chosen = _mode(found, rubric or mode, queue)
            lines = Document([Lines(chosen.rubric.splitlines())])
            session.show(chosen, lines if rubric else views.failure_mode(chosen, found))
            return
        session.show(found, views.failures(found))


def _agree(session: Session, queue: str, model: str, yes: bool) -> None:
    """Say what the call to a model costs at most, and ask. Raises Conflict for a no."""
    by = SuggestedBy(endpoint=model)
    session.agree_to_calls(
        views.cost(session.call(LabelsService.plan_failure_groups, id=queue, body=by)), yes
    )


def _mode(found: FailureModes, name: str, queue: str) -> FailureMode:
    for each in found.modes:
        if name in (each.name, each.id):
            return each
    raise NotFound(f"There is no failure mode {name!r}.", hint=f"See: genops labels failures {queue!r}")


@labels.command("delete")
def delete_queue(queue: Annotated[str, _QUEUE], yes: Yes = False, json: Json = False) -> None:
    """Delete a review queue. Its labels stay at the traces."""
    with command(json) as session:
        session.agree(f"The queue {queue} will be deleted.", yes)
        session.call(LabelsService.delete_label_queue, id=queue)
        session.show({"deleted": queue}, Document([Note(f"{queue} is deleted. Its labels stay.")]))


labels.add_typer(judge_alignments)
