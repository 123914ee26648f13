"""Show the answers of an evaluation by row, those of another evaluation beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genops_lab.core.paging import Page
from genops_lab.genai.endpoints.limits import Usage
from genops_lab.genai.traces.content import shown_pictures
from genops_lab.genai.traces.pictures import Picture

from .attachments import ATTACHMENT, with_content
from .comparing import check_same_rows
from .journal import Call, read
from .models import AnsweredRow, AnswersQuery, ShownAnswer, ShownScore
from .results_folder import KeptScore, ResultsFolder
from .traces import trace_id

#: Characters of an answer that a page shows.
_SHOWN = 20_000


def answered_rows(folders: Sequence[ResultsFolder], query: AnswersQuery) -> Page[AnsweredRow]:
    """Return a page of rows with the answers of each evaluation. Blocks. Raises Conflict for other rows."""
    check_same_rows(folders[0].state(), folders[-1].state())
    by_row: dict[str, list[ShownAnswer]] = {}
    for folder in folders:
        scores = {name: folder.scores(name) for name in folder.state().scorers}
        for key, call in read(folder.calls).items():
            marks = [(name, own[key]) for name, own in scores.items() if key in own]
            by_row.setdefault(call.example, []).append(_shown(folder.id, call, marks))
    rows = folders[0].rows()
    ids = [each for each in rows if query.example in ("", each)]
    if query.after and query.after not in ids:
        raise query.bad_cursor()
    found: list[AnsweredRow] = []
    for id in ids[ids.index(query.after) + 1 if query.after else 0 :]:
        answers = by_row.get(id, [])
        if not _wanted(answers, query.only):
            continue
        if len(found) == query.limit:
            return Page(items=found, next=found[-1].example)
        pictures = _pictures(rows[id], folders[0].attachments) if query.example else {}
        found.append(AnsweredRow(example=id, row=rows[id], answers=answers, pictures=pictures))
    return Page(items=found)


def _wanted(answers: Sequence[ShownAnswer], only: str) -> bool:
    if only == "failed":
        return any(each.failure for each in answers)
    if only == "differing":
        values: dict[str, set[float | None]] = {}
        for each in answers:
            for score in each.scores:
                values.setdefault(score.scorer, set()).add(score.value)
        return any(len(found) > 1 for found in values.values())
    return True


def _shown(evaluation: str, call: Call, marks: Sequence[tuple[str, KeptScore]]) -> ShownAnswer:
    answer = call.answer
    return ShownAnswer(
        evaluation=evaluation,
        model=call.model,
        repeat=call.repeat,
        text=answer.text[:_SHOWN] if answer else "",
        failure=call.failure,
        message=call.message,
        latency_s=call.latency_s,
        tries=call.tries,
        joined=call.joined,
        trace_id=trace_id(evaluation, call.model, call.example, call.repeat),
        scores=[ShownScore(scorer=name, value=mark.value, reason=mark.reason) for name, mark in marks],
        finish_reason=answer.finish_reason if answer else "",
        usage=answer.usage if answer else Usage(),
    )


def _pictures(row: Mapping[str, Any], kept: Path) -> dict[str, Picture]:
    """Return the kept pictures of a row by their column; a note for other files. Blocks."""
    found: dict[str, Picture] = {}
    for column, value in row.items():
        name = ATTACHMENT.fullmatch(value) if isinstance(value, str) else None
        if name is None:
            continue
        if name[3] == "pdf":
            found[column] = Picture(note=f"A PDF of {int(name[2]):,} bytes.")
            continue
        part = {"type": "image_url", "image_url": {"url": value}}
        try:
            (turn,) = with_content([{"content": [part]}], kept)
        except OSError as error:
            found[column] = Picture(note=f"The picture cannot be read: {error.strerror}.")
        else:
            found[column] = shown_pictures(turn["content"])[0]
    return found
