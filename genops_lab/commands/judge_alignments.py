"""``genops labels align``, ``genops labels keep`` and ``genops labels resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import Failed
from genops_lab.genai.labels.alignment_models import JudgeAlignment, NewAlignment
from genops_lab.genai.labels.alignments import JudgeAlignments

from .grammar import noun
from .optimizer_options import Money, Optimizer, Seed, optimizer_of
from .session import Calls, Json, Session, command
from .views import alignments as views
from .waiting import followed

judge_alignments = noun()

_ID = typer.Argument(metavar="ID", help="The id of an alignment.")
_File = Annotated[
    str, typer.Option("--file", metavar="FILE", help="Write the new judge into this file, if it is kept.")
]


@judge_alignments.command("align")
def align_judge(
    result: Annotated[str, typer.Argument(metavar="RESULT", help="The id of an evaluation of answers.")],
    writer: Annotated[
        str, typer.Option("--writer", metavar="ENDPOINT", help="The endpoint that writes new criteria.")
    ],
    judge: Annotated[
        str, typer.Option("--judge", metavar="SCORER", help="The name of a rubric. Default: the only one.")
    ] = "",
    optimizer: Optimizer = "metaprompt",
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="NUMBER", help="Criteria that are written. Default: 2.")
    ] = 2,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="SHARE", help="The share of labels that judge the result. Default: 0.5."
        ),
    ] = 0.5,
    seed: Seed = 0,
    money: Money = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the new judge though labels do not show that it is better.")
    ] = False,
    file: _File = "",
    yes: Calls = False,
    json: Json = False,
) -> None:
    """Let MLflow mend a judge's criterion, judged on held-out labels.

    The cost at most is said before the first call. A better judge is registered in MLflow.
    """
    with command(json) as session:
        body = NewAlignment(
            evaluation=result, writer=writer, judge=judge, rounds=rounds, held_out=held_out, seed=seed, money=money,
            keep="always" if keep else "better", optimizer=optimizer_of(optimizer),
        )  # fmt: skip
        cost = session.call(JudgeAlignments.get_alignment_cost, body=body)
        session.agree_to_calls(views.alignment_cost(cost), yes)
        begun = session.call(JudgeAlignments.start_alignment, body=body)
        session.say(f"The alignment is {begun.alignment.id}.")
        followed(session, begun.task)
        _show(session, session.call(JudgeAlignments.get_alignment, alignment=begun.alignment.id), file)


@judge_alignments.command("resume")
def resume_alignment(id: Annotated[str, _ID], file: _File = "", json: Json = False) -> None:
    """Go on with an alignment. Kept marks are not asked for again."""
    with command(json) as session:
        begun = session.call(JudgeAlignments.resume_alignment, alignment=id)
        followed(session, begun.task)
        _show(session, session.call(JudgeAlignments.get_alignment, alignment=id), file)


@judge_alignments.command("keep")
def keep_alignment(id: Annotated[str, _ID], file: _File = "", json: Json = False) -> None:
    """Keep the new judge of an alignment: MLflow and a file get it."""
    with command(json) as session:
        _show(session, session.call(JudgeAlignments.keep_alignment, alignment=id), file)


def _show(session: Session, found: JudgeAlignment, file: str) -> None:
    if file and found.rubric:
        try:
            with Path(file).expanduser().open("x", encoding="utf-8") as there:
                there.write(found.rubric)
        except OSError as error:
            raise Failed(
                f"Cannot write the judge {found.kept_as} into {file}: {error.strerror}.",
                hint=f"Give another file: genops labels keep {found.id} --file FILE",
            ) from error
    session.show(found, views.alignment(found, file))
