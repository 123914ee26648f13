"""Score kept answers: rules at once, programs in a process of their own, judges by asking them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.scorers.base import (
    Answered,
    AskingScorer,
    CannotScore,
    Judge,
    NotScored,
    Program,
    Rule,
    Score,
    read_judgement,
)
from genops_lab.genai.scorers.running import running

from .asking import Asked, Asking, Patience, Wanted
from .attachments import AttachingConnection, tokens_of
from .evaluation_file import Evaluation
from .journal import Call, Journal, Key
from .results_folder import KeptScore, ResultsFolder

#: Answers that are scored between two calls of ``tell``.
_AT_ONCE = 100


def answered(
    file: Evaluation,
    calls: Mapping[Key, Call],
    wanted: Mapping[Key, Wanted],
    rows: Mapping[str, Mapping[str, Any]],
) -> dict[Key, Answered]:
    """Return the answers with all that a scorer may look at. The first model is the one compared with."""
    first, *_ = file.models
    found = {}
    for key, asked in wanted.items():
        call = calls.get(key)
        if call is None or call.answer is None:
            continue
        price = file.models[key[0]].price
        rival = calls.get((first, key[1], key[2])) if key[0] != first else None
        found[key] = Answered(
            text=call.answer.text, row=rows[key[1]],
            messages=[*asked.messages, *(step.message for step in call.steps[:-1])],
            tool_calls=call.answer.tool_calls,
            latency_s=call.latency_s, usage=call.answer.usage, finish_reason=call.answer.finish_reason,
            money=None if price is None else price.of(call.answer.usage),
            currency=price.currency if price else "USD",
            against=rival.answer.text if rival is not None and rival.answer is not None else None,
        )  # fmt: skip
    return found


def scored_here(
    scorer: Rule | Program,
    answers: Mapping[Key, Answered],
    known: Mapping[Key, KeptScore],
    folder: Path,
    tell: Callable[[int], None],
) -> list[KeptScore]:
    """Return the scores of all answers, those that are ``known`` as they are. Blocks. Raises InvalidRequest."""
    missing = [key for key in answers if key not in known]
    found = {key: known[key] for key in answers if key in known}
    if missing:
        try:
            with running(scorer, folder) as scoring:
                for start in range(0, len(missing), _AT_ONCE):
                    tell(len(found))
                    part = missing[start : start + _AT_ONCE]
                    for key, score in zip(part, scoring.score([answers[key] for key in part]), strict=True):
                        found[key] = _kept(key, [score])
        except CannotScore as error:
            raise InvalidRequest(
                f"The scorer {scorer.label} cannot score: {error.message}", hint=error.hint
            ) from error
    return [found[key] for key in answers]


async def asked_judge(
    judge: AskingScorer,
    endpoint: Endpoint,
    answers: Mapping[Key, Answered],
    settings: Mapping[str, Any],
    folder: ResultsFolder,
    patience: Patience,
    tell: Callable[[Asked], None],
) -> tuple[list[KeptScore], Asked]:
    """Return the scores of all answers by a judge, or by embeddings of an endpoint.

    The folder has its answers of before, which are not asked for again.

    ``settings`` are those of the judging model; the scorer's own come first.
    """
    own = {**settings, **judge.settings}
    wanted: list[Wanted] = []
    asks: dict[Key, int | str] = {}
    for key, answer in answers.items():
        try:
            turns = judge.calls(answer)
        except NotScored as error:
            asks[key] = str(error)
            continue
        asks[key] = len(turns)
        wanted += [
            Wanted(
                example=_asked_about(key, at),
                repeat=judgement,
                messages=messages,
                settings=own,
                attached_tokens=tokens_of(messages),
            )
            for judgement in range(judge.judgements)
            for at, messages in enumerate(turns)
        ]
    async with contextlib.AsyncExitStack() as stack:
        journal = await stack.enter_async_context(Journal(folder.judge_calls(judge.label)))
        connection = await stack.enter_async_context(AttachingConnection(endpoint, folder.attachments))
        asked = await Asking(connection, journal, patience, tell).ask(wanted)
        calls = journal.calls
    found = []
    for key, count in asks.items():
        if isinstance(count, str):
            found.append(_kept(key, [Score(value=None, reason=count)]))
            continue
        scores = []
        for judgement in range(judge.judgements):
            made = [calls.get((endpoint.name, _asked_about(key, at), judgement)) for at in range(count)]
            scores.append(_judged(judge, made))
        if any(score is not None for score in scores):
            found.append(_kept(key, [score for score in scores if score is not None]))
    return found, asked


def _judged(judge: AskingScorer, calls: Sequence[Call | None]) -> Score | None:
    """Return the score in a judgement's calls; None while one was not asked for."""
    texts = []
    for call in calls:
        if call is None:
            return None
        if call.answer is None:
            who = "judge" if isinstance(judge, Judge) else "endpoint"
            return Score(value=None, reason=f"the {who} did not answer: {call.message}")
        texts.append(call.answer.text)
    return read_judgement(judge, texts)


def _asked_about(key: Key, at: int) -> str:
    return "\n".join([*map(str, key), str(at)])


def _kept(key: Key, scores: Sequence[Score]) -> KeptScore:
    """Return what is kept of an answer's judgements: their mean, and each where there are several."""
    values = [score.value for score in scores if score.value is not None]
    model, example, repeat = key
    return KeptScore(
        model=model, example=example, repeat=repeat, value=sum(values) / len(values) if values else None,
        reason=next((score.reason for score in scores if score.reason), ""),
        judgements=values if len(scores) > 1 else [],
        consistent=next((score.consistent for score in scores if score.consistent is not None), None),
    )  # fmt: skip
