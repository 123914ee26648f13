"""``genops evaluations``."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from genops_lab.core.paging import every_page
from genops_lab.evaluations.models import EvaluationsQuery, ReportQuery
from genops_lab.evaluations.service import EvaluationsService
from genops_lab.genai.evaluations.models import ComparisonQuery
from genops_lab.genai.evaluations.service import AnswersService

from .answer_evaluations import answer_evaluations
from .completion import model_names
from .grammar import noun
from .session import Json, command
from .views import answers as answer_views
from .views import evaluations as views

evaluations = noun()
_RUN = re.compile(r"[0-9a-f]{32}")


@evaluations.command("list")
def list_evaluations(
    model: Annotated[
        str,
        typer.Option(
            "--model", metavar="MODEL", help="Only of this registered model.", autocompletion=model_names
        ),
    ] = "",
    version: Annotated[
        str, typer.Option("--version", metavar="NUMBER", help="Only of this version of the model.")
    ] = "",
    digest: Annotated[
        str, typer.Option("--digest", metavar="DIGEST", help="Only on data with this whole digest.")
    ] = "",
    answers: Annotated[
        bool, typer.Option("--answers", help="List evaluations of answers, those of genops evaluate.")
    ] = False,
    json: Json = False,
) -> None:
    """List evaluations of versions, newest first."""
    with command(json) as session:
        if answers:
            kept = session.every(AnswersService.list_answer_evaluations, key="id")
            session.show(kept, answer_views.evaluations(kept))
            return
        pages = every_page(
            lambda query: session.call(
                EvaluationsService.list_evaluations,
                query=EvaluationsQuery(
                    limit=query.limit, after=query.after, model=model, version=version, digest=digest
                ),
            ),
            lambda evaluation: evaluation.run_id,
        )
        found = list(pages)
        session.show(found, views.evaluations(found))


@evaluations.command("show")
def show_evaluation(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="The run of an evaluation of versions, its whole id; or the id of an evaluation of answers.",
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="RUN",
            help="Compare with this evaluation on the same data or rows. Default: as it was evaluated.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the metrics of an evaluation.

    The differences are those to the version that it is compared with.
    """
    with command(json) as session:
        if not _RUN.fullmatch(run) and against:
            compared = session.call(
                AnswersService.compare_answer_evaluations, id=run, query=ComparisonQuery(against=against)
            )
            session.show(compared, answer_views.comparison(compared))
            return
        if not _RUN.fullmatch(run):
            shown = session.call(AnswersService.get_answer_evaluation, id=run)
            session.show(shown, answer_views.report(shown))
            return
        found = session.call(
            EvaluationsService.get_evaluation, run_id=run, query=ReportQuery(against=against)
        )
        session.show(found, views.report(found))


evaluations.add_typer(answer_evaluations)
