"""Keep the results of another harness as answers and scores of an evaluation."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.paths import private_dir
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Usage

from .asking import Asked
from .evaluation_file import Evaluation
from .harness_relay import Relay
from .harnesses import HarnessResult, run_harness
from .journal import Call, Journal, Key
from .results_folder import KeptScore, ResultsFolder
from .steps import summed


def asked_harness(
    folder: ResultsFolder, file: Evaluation, endpoints: Sequence[Endpoint], tell: Callable[[int], None]
) -> tuple[list[Asked], list[tuple[Key, Usage]], dict[Key, Call]]:
    """Run the harness for each model, one after the other, and keep what it gave. Blocks. Raises Failed, OSError.

    A model with all its answers is not run again. The harness goes on with the log of one that it did not finish. It
    asks each model through a relay, which keeps to the limits. Returns also the calls that were lost with a process.
    """
    assert file.harness is not None
    found: list[Asked] = []
    calls: dict[Key, Call] = {}
    lost: list[tuple[Key, Usage]] = []
    logs = private_dir(folder.path / "harness")
    for endpoint in endpoints:
        relay = Relay(endpoint, logs / f"{endpoint.name}.calls.jsonl")
        try:
            with relay:
                result = run_harness(
                    file.harness, relay.endpoint, {**file.settings, **file.models[endpoint.name].settings},
                    file.repeats, folder.files, logs / endpoint.name, functools.partial(tell, len(calls)),
                )  # fmt: skip
        except Failed:
            if relay.error:
                raise relay.error from None
            if relay.stopped:
                raise Failed(
                    f"The task {file.harness.task!r} ended without results of {endpoint.name}. {relay.stopped}",
                    hint="Evaluate fewer rows with limit of harness, or give the model higher limits.",
                ) from None
            raise
        if relay.error:
            raise relay.error
        lost += relay.lost
        folder.keep_rows({**folder.rows(), **result.rows})
        calls |= asyncio.run(_kept(folder, result))
        _keep_scores(folder, endpoint.name, result.scores)
        answers = [call.answer for call in result.calls if call.answer]
        spent = relay.spent if relay.spent.total else summed([each.usage for each in answers])
        price = endpoint.price
        found.append(
            Asked(
                model=endpoint.name, wanted=len(result.calls), answered=len(answers),
                failed=len(result.calls) - len(answers), spent=spent,
                money=price.of(spent) if price and spent.known else None, stopped=relay.stopped,
                repeated=len(relay.lost),
            )
        )  # fmt: skip
    return found, lost, calls


async def _kept(folder: ResultsFolder, result: HarnessResult) -> dict[Key, Call]:
    async with Journal(folder.calls) as journal:
        for call in result.calls:
            if journal.calls.get(call.key) != call:
                journal.end(call)
    return {call.key: call for call in result.calls}


def _keep_scores(folder: ResultsFolder, model: str, scores: Mapping[str, list[KeptScore]]) -> None:
    """Keep the scores of a model, and name the scorers that are new."""
    added = folder.added()
    for name, own in scores.items():
        kept = [each for each in folder.scores(name).values() if each.model != model]
        folder.keep_scores(name, [*kept, *own])
        values = [each.value for each in own if each.value is not None]
        bounds = {"least": 0.0, "most": 1.0} if all(0 <= each <= 1 for each in values) else {}
        text = {"scorers": [{"scorer": "given", "name": name, **bounds}]}
        if not any(name in _names(each) for each in added):
            added.append(msgspec.yaml.encode(text).decode())
    folder.keep_added(added)


def _names(text: str) -> list[str]:
    return [each.get("name", each["scorer"]) for each in msgspec.yaml.decode(text)["scorers"]]
