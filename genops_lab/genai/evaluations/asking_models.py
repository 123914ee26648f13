"""Ask all models of an evaluation at the same time, until its end or until the answer is known."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from genops_lab.core.call_progress import CallCancelled, for_another_thread, report_progress
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Usage

from .asking import Asked, Asking, Patience, Wanted
from .attachments import AttachingConnection, tokens_of
from .conversing import Conversations
from .evaluation_file import Evaluation
from .journal import Call, Journal, Key
from .model_checks import check_models
from .results_folder import ResultsFolder
from .rows import history_in, turns_in, written
from .stopping import looks
from .waits import keep_waits

T = TypeVar("T")
_TELL_S = 0.5


def clusters_of(file: Evaluation, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what each row belongs together by; empty without a column."""
    return {id: str(row.get(file.cluster, id)) for id, row in rows.items()} if file.cluster else {}


def first_turns(file: Evaluation, row: dict[str, Any], id: str, model: str) -> list[dict[str, Any]]:
    """Return what a model is asked first about a row. Raises InvalidRequest."""
    found = written(file.messages_of(model), row, id)
    plan = file.conversation
    if file.harness:
        found = [*row["messages"]]
    if plan.history:
        found += history_in(row, plan.history, id)
    if plan.turns:
        turns_in(row, plan.turns, id)
    return found


def wanted_of(file: Evaluation, rows: dict[str, dict[str, Any]], model: str) -> list[Wanted]:
    """Return the answers that an evaluation needs of a model: repeat by repeat, so that an early end has all rows."""
    settings = {**file.settings, **file.models[model].settings}
    if file.tools:
        settings["tools"] = [each.declared for each in file.tools]
    found = []
    for repeat in range(file.repeats):
        own = settings if file.seed is None else {**settings, "seed": file.seed + repeat}
        found += [
            Wanted(
                example=id,
                repeat=repeat,
                messages=(turns := first_turns(file, row, id, model)),
                settings=own,
                attached_tokens=tokens_of(turns),
            )
            for id, row in rows.items()
        ]
    return found


async def asked_models(
    folder: ResultsFolder, file: Evaluation, rows: dict[str, dict[str, Any]], endpoints: Sequence[Endpoint],
    judges: Sequence[Endpoint], unknown: Callable[[dict[Key, Call], set[str]], list[str]] | None = None,
) -> tuple[list[Asked], list[tuple[Key, Usage]], dict[Key, Call]]:  # fmt: skip
    """Ask all models at the same time. ``unknown``: the models that need more rows, by calls to some."""
    done: dict[str, int] = {}
    waits: dict[str, str] = {}

    def tell(asked: Asked) -> None:
        done[asked.model] = asked.answered + asked.failed
        why = "" if asked.stopped else asked.waits
        if waits.get(asked.model, "") != why:
            waits[asked.model] = why
            keep_waits(folder.path, " ".join(filter(None, waits.values())))

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(keep_waits, folder.path, "")
        journal = await stack.enter_async_context(Journal(folder.calls))
        known = dict.fromkeys(key[0] for key in journal.calls)
        done.update({model: sum(key[0] == model for key in journal.calls) for model in known})
        if file.check_models:
            await while_wanted(asyncio.ensure_future(check_models(folder, endpoints)), done)
        patience = Patience(tries=file.tries, patience_s=file.patience_s)
        talks = None
        if file.converses:
            talks = Conversations(file, rows, folder.turns, folder.files, judges, patience)
            await stack.enter_async_context(talks)
        asking: dict[str, Asking] = {}
        for endpoint in endpoints:
            connection = await stack.enter_async_context(AttachingConnection(endpoint, folder.attachments))
            asking[endpoint.name] = (
                talks.asking(connection, journal, tell)
                if talks
                else Asking(connection, journal, patience, tell)
            )

        async def ask(models: Sequence[str], of: dict[str, dict[str, Any]]) -> dict[str, Asked]:
            runs = [asking[each].ask(wanted_of(file, of, each)) for each in models]
            return dict(zip(models, await asyncio.gather(*runs), strict=True))

        async def ask_until_known() -> dict[str, Asked]:
            assert unknown is not None
            first, *_ = models = list(asking)
            found: dict[str, Asked] = {}
            order = folder.order()
            for count in looks(order, clusters_of(file, rows)):
                found |= await ask(models, {id: rows[id] for id in order[:count]})
                if any(each.stopped for each in found.values()):
                    break
                calls = dict(journal.calls)
                seen = set(order[:count])  # a resumed evaluation has calls of later looks already
                open_ = await asyncio.to_thread(for_another_thread(lambda: unknown(calls, seen)))  # noqa: B023
                if not open_:
                    break
                models = [first, *(each for each in models if each in open_)]
            return {each: found[each] for each in asking}

        work = ask(list(asking), rows) if unknown is None else ask_until_known()
        found = await while_wanted(asyncio.ensure_future(work), done)
        if file.check_models:
            await while_wanted(asyncio.ensure_future(check_models(folder, endpoints)), done)
        return list(found.values()), [*journal.lost, *(talks.lost if talks else [])], dict(journal.calls)


async def while_wanted(work: asyncio.Future[T], done: dict[str, int]) -> T:
    """Wait for the end; report progress meanwhile, and stop when the caller cancels or is gone."""
    while True:
        ended, _ = await asyncio.wait([work], timeout=_TELL_S)
        if ended:
            return work.result()
        try:
            report_progress(sum(done.values()))
        except (CallCancelled, OSError):
            work.cancel()
            await asyncio.wait([work])
            raise
