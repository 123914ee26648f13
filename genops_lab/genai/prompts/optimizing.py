"""Write and try texts of a prompt, in a process of its own: MLflow's optimizers take seconds to import.

The folder of an optimization has ``plan.json`` (what was asked for), ``rows.json`` (both sides of the split),
``state.json``, ``written.json`` (the best text), and journals: ``calls.jsonl`` of answers to training rows,
``writer.jsonl`` of written texts, ``judges/``. A call in a journal is not made again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Failed, GenOpsError, NotFound
from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.endpoints.endpoint import Connection, Endpoint
from genops_lab.genai.endpoints.limits import Limits, Usage
from genops_lab.genai.evaluations.asking import Asked, Asking, Patience, Wanted
from genops_lab.genai.evaluations.frozen_files import keep_files
from genops_lab.genai.evaluations.journal import Call, Journal, Key, spent_in
from genops_lab.genai.evaluations.results_folder import KeptScore, ResultsFolder
from genops_lab.genai.evaluations.scoring import asked_judge, scored_here
from genops_lab.genai.evaluations.steps import summed
from genops_lab.genai.scorers.base import Answered, Judge

from .mlflow_optimizer import TEXT, TrainingRow, TriedRow, class_name, optimize
from .models import VARIABLE, PromptVersion, Turn
from .optimization_models import NewOptimization, Optimization, OptimizationCost, TrainingScore
from .optimization_plan import (
    ROW,
    answer_settings,
    comparison_most,
    cost_of,
    held_out_file,
    held_out_text,
    longest,
    material_of,
    template_of,
    turns_of_template,
    with_limits,
    writer_settings,
)
from .trials import messages_of

T = TypeVar("T")

_LOOK_S = 0.5
_ID = re.compile(r"[0-9a-f]{12}")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The request, with the version as it was."""

    body: NewOptimization
    version: PromptVersion


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of both sides by id."""

    training: dict[str, dict[str, Any]]
    held_out: dict[str, dict[str, Any]]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The turns of the best text that was written; empty: none was better on the training rows."""

    turns: list[Turn]


class OptimizationFolder:
    """The folder of one optimization. All methods block. Raises NotFound."""

    def __init__(self, root: Path, id: str) -> None:
        self.id, self.path = id, root / id
        if not _ID.fullmatch(id) or not (self.path / "state.json").is_file():
            raise NotFound(
                f"There is no optimization {id[:40]!r}.", hint="Begin one: genops prompts optimize NAME"
            )

    def plan(self) -> Plan:
        """Return what was asked for."""
        return msgspec.json.decode((self.path / "plan.json").read_bytes(), type=Plan)

    def rows(self) -> Sides:
        """Return the rows of both sides."""
        return msgspec.json.decode((self.path / "rows.json").read_bytes(), type=Sides)

    def state(self) -> Optimization:
        """Return what is known of the optimization."""
        return msgspec.json.decode((self.path / "state.json").read_bytes(), type=Optimization)

    def written(self) -> Written:
        """Return the text that was written. Raises NotFound if there is none yet."""
        try:
            return msgspec.json.decode((self.path / "written.json").read_bytes(), type=Written)
        except FileNotFoundError:
            raise NotFound(
                f"The optimization {self.id} has no new text.",
                hint=f"See what it found: genops prompts optimizations --id {self.id}",
            ) from None

    def keep(self, state: Optimization) -> None:
        """Keep what is known. Raises OSError."""
        write_private(self.path / "state.json", msgspec.json.encode(state).decode())


class OptimizingProcess:
    """The stages of optimizations, over the folders below ``root``. All methods block."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def plan(self, version: PromptVersion, body: NewOptimization, file: str) -> OptimizationCost:
        """Return the most that an optimization costs on the rows of a file. Raises InvalidRequest, NotFound, Failed."""
        return cost_of(version, body, material_of(version, body, file))

    def begin(
        self, id: str, name: str, version: PromptVersion, body: NewOptimization, file: str
    ) -> Optimization:
        """Check what was asked for, split the rows of a file and keep all. Raises InvalidRequest, NotFound, Failed."""
        found = material_of(version, body, file)
        cost_of(version, body, found)
        notes = []
        if found.together:
            notes.append(f"{found.together:,} rows are near-duplicates of others: each group is on one side.")
        state = Optimization(
            id=id, name=name, version=version.version, optimizer=class_name(body.optimizer),
            answerer=body.answerer.name, writer=body.writer.name, data=body.data, digest=found.digest, seed=body.seed,
            training_rows=len(found.training), held_out_rows=len(found.held_out), created_at=time.time(), notes=notes,
        )  # fmt: skip
        sides = Sides(training=found.training, held_out=found.held_out)
        for each in (self._root.parent, self._root, self._root / id):
            folder = private_dir(each)
        keep_files(found.file, Path(body.folder or "."), folder / "files")
        write_private(folder / "plan.json", msgspec.json.encode(Plan(body=body, version=version)).decode())
        write_private(folder / "rows.json", msgspec.json.encode(sides, enc_hook=str).decode())
        write_private(folder / "state.json", msgspec.json.encode(state).decode())
        return state

    def write(self, id: str, answerer: Endpoint, writer: Endpoint, judges: list[Endpoint]) -> Written:
        """Let MLflow write texts, and try them on the training rows. Reports how many calls were made.

        Raises Failed.
        """
        folder = OptimizationFolder(self._root, id)
        writing = _Writing(folder, answerer, writer, judges)
        written = writing.run()
        if written.turns:
            write_private(folder.path / "written.json", msgspec.json.encode(written).decode())
        folder.keep(writing.state(folder.state()))
        return written

    def held_out(self, id: str, label: str, limits: Limits) -> str:
        """Write the held-out rows, and return the evaluation that asks both texts for them."""
        folder = OptimizationFolder(self._root, id)
        plan, rows, turns = folder.plan(), folder.rows().held_out, folder.written().turns
        lines = [msgspec.json.encode({**row, ROW: id}) for id, row in rows.items()]
        write_private(folder.path / "held-out.jsonl", b"".join(line + b"\n" for line in lines).decode())
        money = plan.body.money
        if money is not None:
            money = max(money - (folder.state().money or 0.0), 1e-9)
        text = held_out_text(plan.version, plan.body, turns, label)
        return with_limits(text, plan.version, rows, limits, money)


class _Stopped(Exception):
    """A limit is reached: no other call is made."""


class _Writing:
    """One run of an optimizer. MLflow calls :meth:`attempt` and :meth:`ask_writer` in other threads."""

    def __init__(
        self, folder: OptimizationFolder, answerer: Endpoint, writer: Endpoint, judges: Sequence[Endpoint]
    ) -> None:
        plan, sides = folder.plan(), folder.rows()
        self._folder, self._version, self._body = folder, plan.version, plan.body
        self._file = held_out_file(plan.version, plan.body, plan.version.turns)
        self._rows = sides.training
        self._reserved = comparison_most(plan.version, plan.body, self._file, sides.held_out)
        results = ResultsFolder(folder.path)
        self._results = results
        # One model may have several parts in it: each has a name of its own.
        self._answerer = _named(answerer, "answers")
        self._writer = _named(writer, "writes")
        self._judges = {each.name: _named(each, "judges") for each in judges}
        self._calls_file, self._writer_file = folder.path / "calls.jsonl", folder.path / "writer.jsonl"
        journals = {self._answerer.name: [self._calls_file], self._writer.name: [self._writer_file]}
        for name, endpoint in self._judges.items():
            journals[endpoint.name] = [
                results.judge_calls(each.label)
                for each in self._file.scorers
                if isinstance(each, Judge) and each.model == name
            ]
        self._journals = journals
        self._endpoints = [self._answerer, self._writer, *self._judges.values()]
        self._spent = {each.name: self._spent_by(each) for each in self._endpoints}
        #: The results of each text on all training rows, in the order of their coming.
        self._tried: dict[str, list[TriedRow]] = {}
        self._calls = self._written = 0
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._reason = ""

    def run(self) -> Written:
        """Return the best text. Raises Failed."""
        thread = threading.Thread(target=self._optimize, daemon=True)
        thread.start()
        try:
            while thread.is_alive() and self._failure is None:
                thread.join(_LOOK_S)
                report_progress(self._calls)  # raises where the caller cancelled
        finally:
            self._ended.set()
        first, *others = list(self._tried.values()) or [[]]
        failure = self._failure
        if isinstance(failure, GenOpsError):
            raise failure
        if failure is not None and not isinstance(failure, _Stopped):
            raise Failed(f"MLflow's {class_name(self._body.optimizer)} failed: {failure}") from failure
        self._reason = str(failure) if failure is not None else self._reason
        if not others:
            raise Failed(
                f"The model {self._body.writer.name} wrote no text that could be tried: {self._reason.rstrip('.')}.",
                hint="Try another writer, or more rounds: --rounds NUMBER",
            )
        best = max(others, key=_mean)
        if _mean(best) <= _mean(first):
            return Written(turns=[])
        template = next(text for text, rows in self._tried.items() if rows is best)
        return Written(turns=turns_of_template(self._version, template))

    def state(self, state: Optimization) -> Optimization:
        """Return the state with what was tried and spent."""
        first, *others = self._tried.values()
        notes = [*state.notes, *([self._reason] if self._reason else [])]
        failed = sum(each.value is None for rows in self._tried.values() for each in rows)
        if failed:
            counted = " GEPA counted them as 0." if self._body.optimizer == "gepa" else ""
            notes.append(f"{failed:,} answers to training rows have no score.{counted}")
        money = [each.price.of(self._spent[each.name]) for each in self._endpoints if each.price]
        currencies = {each.price.currency for each in self._endpoints if each.price}
        return msgspec.structs.replace(
            state, tried=len(others), tokens=sum(each.total for each in self._spent.values()),
            money=sum(money) if len(money) == len(self._endpoints) and len(currencies) == 1 else None,
            currency=min(currencies, default="USD"),
            training=_training(first, max(others, key=_mean)), notes=list(dict.fromkeys(notes)),
        )  # fmt: skip

    def _optimize(self) -> None:
        expected = list(filter(None, (getattr(each, "expected", "") for each in self._file.scorers)))
        rows = [
            TrainingRow(
                row=id, inputs={name: row[name] for name in self._version.variables},
                expectations={name: row[name] for name in expected if name in row},
            )
            for id, row in self._rows.items()
        ]  # fmt: skip
        try:
            self._reason = optimize(
                self._body.optimizer, self._version.name, template_of(self._version), rows, self._body.rounds,
                self.attempt, self.ask_writer,
            )  # fmt: skip
        except BaseException as error:  # the thread of the call raises it
            self._failure = self._failure or error

    def attempt(self, template: str, ids: Sequence[str]) -> list[TriedRow]:
        """Answer rows with a text, and score the answers."""
        try:
            turns = turns_of_template(self._version, template)
            self._check(template, turns)
        except ValueError as error:  # the writer reads why
            return [TriedRow(row=id, value=0.0, reasons={TEXT: str(error)}) for id in ids]
        try:
            found = self._scored(template, turns, {id: self._rows[id] for id in ids})
            if not any(each.value is not None for each in found):
                why = next((text for each in found for text in each.reasons.values()), "nothing was answered")
                raise Failed(f"No training answer has a score: {why}.", hint=self._hint)
        except BaseException as error:
            self._failure = self._failure or error
            raise
        if len(ids) == len(self._rows):
            self._tried[template] = found
        return found

    def _check(self, template: str, turns: Sequence[Turn]) -> None:
        """Raise ValueError for a text that cannot take the place of the version's."""
        names = {name for turn in turns for name in VARIABLE.findall(turn.content)}
        if names != set(self._version.variables):
            wanted = ", ".join(f"{{{{{name}}}}}" for name in self._version.variables)
            raise ValueError(f"The text must have these variables and no others: {wanted}.")
        most = longest(self._version)
        if len(template) > most:
            raise ValueError(f"The text has {len(template):,} characters; it may have {most:,}.")

    def _scored(self, template: str, turns: list[Turn], rows: Mapping[str, dict[str, Any]]) -> list[TriedRow]:
        text = hashlib.sha256(template.encode()).hexdigest()[:12]
        version = msgspec.structs.replace(self._version, turns=turns)
        settings = answer_settings(version, self._body)
        wanted = {
            id: Wanted(
                example=f"{text}/{id}", repeat=0, messages=messages_of(version, row), settings=settings
            )
            for id, row in rows.items()
        }
        calls = self._ask(self._answerer, self._calls_file, list(wanted.values()))
        answers: dict[Key, Answered] = {}
        for id, each in wanted.items():
            call = calls.get((self._answerer.name, each.example, 0))
            if call is not None and call.answer is not None:
                answers[(text, each.example, 0)] = Answered(
                    text=call.answer.text, row=rows[id], messages=each.messages, tool_calls=call.answer.tool_calls,
                    latency_s=call.latency_s, usage=call.answer.usage, finish_reason=call.answer.finish_reason,
                )  # fmt: skip
        scores = {
            scorer.label: {
                each.example: each
                for each in (
                    self._judged(scorer, answers)
                    if isinstance(scorer, Judge)
                    else scored_here(
                        scorer, answers, {}, self._folder.path / "files", lambda _done: self._look()
                    )
                )
            }
            for scorer in self._file.scorers
        }
        found = []
        for id, each in wanted.items():
            answered = answers.get((text, each.example, 0))
            if answered is None:
                call = calls.get((self._answerer.name, each.example, 0))
                why = call.message if call is not None else "it was not asked"
                found.append(TriedRow(row=id, value=None, reasons={"call": why}))
                continue
            kept = {name: own[each.example] for name, own in scores.items() if each.example in own}
            values = {name: one.value for name, one in kept.items() if one.value is not None}
            found.append(
                TriedRow(
                    row=id, text=answered.text, scores=values,
                    value=sum(values.values()) / len(values) if len(values) == len(scores) else None,
                    reasons={name: one.reason for name, one in kept.items() if one.reason},
                )
            )  # fmt: skip
        return found

    def _judged(self, judge: Judge, answers: Mapping[Key, Answered]) -> list[KeptScore]:
        settings, asked_about = self._file.judges[judge.model].settings, {key[1] for key in answers}
        journal, attachments = self._results.judge_calls(judge.label), self._results.attachments

        async def ask(endpoint: Endpoint, tell: Callable[[Asked], None]) -> tuple[list[KeptScore], Asked]:
            return await asked_judge(
                judge, endpoint, answers, settings, journal, attachments, Patience(), tell
            )

        return self._counted(
            self._judges[judge.model], journal,
            lambda example: example.split("\n")[1] in asked_about, ask,
        )  # fmt: skip

    def ask_writer(self, messages: list[dict[str, Any]], given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Ask the model that writes, for MLflow. The answer is OpenAI's chat completion, or an error."""
        self._written += 1
        if self._written > self._body.rounds:
            self._failure = self._failure or _Stopped(f"{self._body.rounds:,} texts were written.")
        if self._failure is not None or self._ended.is_set():
            return 400, {"error": {"message": "No other text is asked for."}}
        settings = writer_settings(given)
        request = hashlib.sha256(json.dumps([messages, settings], sort_keys=True).encode()).hexdigest()[:12]
        wanted = Wanted(example=f"{self._written}/{request}", repeat=0, messages=messages, settings=settings)
        try:
            call = self._ask(self._writer, self._writer_file, [wanted])[
                (self._writer.name, wanted.example, 0)
            ]
            if call.answer is None:
                raise Failed(
                    f"The model {self._body.writer.name} wrote no text: {call.message}", hint=self._hint
                )
        except BaseException as error:  # the thread of the call raises it
            self._failure = self._failure or error
            return 400, {"error": {"message": "No other text is asked for."}}
        answer = call.answer
        return 200, {
            "id": request, "object": "chat.completion", "created": int(call.at), "model": answer.model or "writer",
            "choices": [{
                "index": 0, "finish_reason": answer.finish_reason or "stop",
                "message": {"role": "assistant", "content": answer.text},
            }],
            "usage": {
                "prompt_tokens": answer.usage.input, "completion_tokens": answer.usage.output,
                "total_tokens": answer.usage.total,
            },
        }  # fmt: skip

    @property
    def _hint(self) -> str:
        return f"No answer is paid for twice. Go on with: genops prompts resume {self._folder.id}"

    def _ask(self, endpoint: Endpoint, path: Path, wanted: Sequence[Wanted]) -> dict[Key, Call]:
        """Ask for the answers that the journal does not have. Raises _Stopped, Failed."""
        examples = {each.example for each in wanted}

        async def ask(left: Endpoint, tell: Callable[[Asked], None]) -> tuple[dict[Key, Call], Asked]:
            async with Journal(path) as journal, Connection(left) as connection:
                asked = await Asking(connection, journal, tell=tell).ask(wanted)
                return dict(journal.calls), asked

        return self._counted(endpoint, path, examples.__contains__, ask)

    def _counted(
        self, endpoint: Endpoint, path: Path, is_kept: Callable[[str], bool],
        ask: Callable[[Endpoint, Callable[[Asked], None]], Awaitable[tuple[T, Asked]]],
    ) -> T:  # fmt: skip
        """Make calls within what may be spent, and end them with the run. Raises _Stopped, Failed."""
        self._look()
        kept = spent_in(path, endpoint.name, is_kept)  # which asking counts itself
        left = msgspec.structs.replace(endpoint, limits=self._left(endpoint, kept))
        before = self._calls

        def tell(asked: Asked) -> None:
            self._calls = before + asked.answered + asked.failed

        async def work() -> tuple[T, Asked]:
            asking = asyncio.ensure_future(ask(left, tell))
            while not (await asyncio.wait([asking], timeout=_LOOK_S))[0]:
                if self._ended.is_set():
                    asking.cancel()
                    await asyncio.wait([asking])
                    self._look()
            return asking.result()

        try:
            found, asked = asyncio.run(work())
        finally:
            self._spent[endpoint.name] = self._spent_by(endpoint)
        if asked.stopped.startswith("The budget"):
            own = self._body.money
            limit = "the budget of its endpoint" if own is None else f"the budget of {own:g}"
            raise _Stopped(f"The next call to {endpoint.name} could pass {limit}.")
        if asked.stopped:
            raise Failed(asked.stopped, hint=self._hint)
        return found

    def _look(self) -> None:
        if self._ended.is_set():
            raise _Stopped("The optimization was stopped.")

    def _spent_by(self, endpoint: Endpoint) -> Usage:
        return summed([spent_in(path, endpoint.name) for path in self._journals[endpoint.name]])

    def _left(self, endpoint: Endpoint, kept: Usage) -> Limits:
        """Return what calls may use: the limits less what was spent. ``kept`` is counted again by asking."""
        limits, price, spent = endpoint.limits, endpoint.price, self._spent[endpoint.name]
        tokens = None if limits.tokens is None else max(limits.tokens - spent.total + kept.total, 1)
        if price is None:
            return msgspec.structs.replace(limits, tokens=tokens)
        purses = [] if limits.money is None else [limits.money - price.of(spent)]
        if self._body.money is not None:
            used = sum(each.price.of(self._spent[each.name]) for each in self._endpoints if each.price)
            purses.append(self._body.money - self._reserved - used)
        money = max(min(purses) + price.of(kept), 1e-12) if purses else None
        return msgspec.structs.replace(limits, tokens=tokens, money=money)


def _named(endpoint: Endpoint, part: str) -> Endpoint:
    return msgspec.structs.replace(endpoint, name=f"{endpoint.name} ({part})")


def _mean(rows: Sequence[TriedRow]) -> float:
    """Return the mean score of the rows that have one."""
    values = [each.value for each in rows if each.value is not None]
    return sum(values) / len(values) if values else 0.0


def _training(before: Sequence[TriedRow], after: Sequence[TriedRow]) -> list[TrainingScore]:
    """Return the mean scores of both texts on the rows that both have a score of."""
    then = {each.row: each.scores for each in before}
    found = []
    for scorer in dict.fromkeys(name for each in after for name in each.scores):
        pairs = [
            (then[each.row][scorer], each.scores[scorer])
            for each in after
            if scorer in each.scores and scorer in then[each.row]
        ]
        if pairs:
            one, other = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
            found.append(TrainingScore(scorer=scorer, rows=len(pairs), before=one, after=other))
    return found
