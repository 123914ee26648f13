"""Write and try texts of a prompt, in a process of its own: MLflow's optimizers take seconds to import.

The folder of an optimization has ``plan.json`` (what was asked for), ``rows.json`` (both sides of the split),
``state.json``, ``written.json`` (the best text), and journals: ``calls.jsonl`` of answers to training rows,
``writer.jsonl`` of written texts, ``judges/``. A call in a journal is not made again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from genops_lab.core.errors import NotFound
from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Limits
from genops_lab.genai.evaluations.asking import Asked, Patience, Wanted
from genops_lab.genai.evaluations.frozen_files import keep_files
from genops_lab.genai.evaluations.journal import Key
from genops_lab.genai.evaluations.results_folder import KeptScore, ResultsFolder
from genops_lab.genai.evaluations.scoring import asked_judge, scored_here
from genops_lab.genai.scorers.base import Answered, Judge

from .mlflow_optimizer import TrainingRow, TriedRow, class_name, optimize
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
)
from .optimizer_run import OptimizerRun, check_length, mean_value, named
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
        written = writing.write()
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


class _Writing(OptimizerRun):
    """One run of an optimizer for a prompt."""

    def __init__(
        self, folder: OptimizationFolder, answerer: Endpoint, writer: Endpoint, judges: Sequence[Endpoint]
    ) -> None:
        plan, sides = folder.plan(), folder.rows()
        self._folder, self._version, self._body = folder, plan.version, plan.body
        self._file = held_out_file(plan.version, plan.body, plan.version.turns)
        self._rows = sides.training
        self._results = ResultsFolder(folder.path)
        # One model may have several parts in it: each has a name of its own.
        self._answerer = named(answerer, "answers")
        self._judges = {each.name: named(each, "judges") for each in judges}
        self._calls_file = folder.path / "calls.jsonl"
        journals = [(self._answerer, [self._calls_file])]
        for name, endpoint in self._judges.items():
            own = [each for each in self._file.scorers if isinstance(each, Judge) and each.model == name]
            journals.append((endpoint, [self._results.judge_calls(each.label) for each in own]))
        super().__init__(
            plan.body.optimizer, writer, folder.path / "writer.jsonl", journals,
            rounds=plan.body.rounds, money=plan.body.money, everything=len(sides.training),
            reserved=comparison_most(plan.version, plan.body, self._file, sides.held_out),
            go_on=f"genops prompts resume {folder.id}",
        )  # fmt: skip

    def write(self) -> Written:
        """Return the best text. Raises Failed."""
        template = self.run()
        return Written(turns=turns_of_template(self._version, template) if template else [])

    def state(self, state: Optimization) -> Optimization:
        """Return the state with what was tried and spent."""
        first, *others = self.tried.values()
        notes = [*state.notes, *([self.reason] if self.reason else [])]
        failed = sum(each.value is None for rows in self.tried.values() for each in rows)
        if failed:
            counted = " GEPA counted them as 0." if self._body.optimizer == "gepa" else ""
            notes.append(f"{failed:,} answers to training rows have no score.{counted}")
        return msgspec.structs.replace(
            state, tried=len(others), tokens=self.tokens, money=self.money, currency=self.currency,
            training=_training(first, max(others, key=mean_value)), notes=list(dict.fromkeys(notes)),
        )  # fmt: skip

    def optimize(self) -> str:
        """Run the optimizer on the training rows."""
        expected = list(filter(None, (getattr(each, "expected", "") for each in self._file.scorers)))
        rows = [
            TrainingRow(
                row=id, inputs={name: row[name] for name in self._version.variables},
                expectations={name: row[name] for name in expected if name in row},
            )
            for id, row in self._rows.items()
        ]  # fmt: skip
        return optimize(
            self._body.optimizer, self._version.name, template_of(self._version), rows, self._body.rounds,
            self.attempt, self.ask_writer,
        )  # fmt: skip

    def check(self, template: str) -> None:
        """Raise ValueError for a text that cannot take the place of the version's."""
        turns = turns_of_template(self._version, template)
        names = {name for turn in turns for name in VARIABLE.findall(turn.content)}
        if names != set(self._version.variables):
            wanted = ", ".join(f"{{{{{name}}}}}" for name in self._version.variables)
            raise ValueError(f"The text must have these variables and no others: {wanted}.")
        check_length(template, longest(self._version))

    def scored(self, template: str, ids: Sequence[str]) -> list[TriedRow]:
        """Answer rows with a text, and score the answers."""
        turns = turns_of_template(self._version, template)
        rows = {id: self._rows[id] for id in ids}
        text = hashlib.sha256(template.encode()).hexdigest()[:12]
        version = msgspec.structs.replace(self._version, turns=turns)
        settings = answer_settings(version, self._body)
        wanted = {
            id: Wanted(
                example=f"{text}/{id}", repeat=0, messages=messages_of(version, row), settings=settings
            )
            for id, row in rows.items()
        }
        calls = self.ask(self._answerer, self._calls_file, list(wanted.values()))
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
                        scorer, answers, {}, self._folder.path / "files", lambda _done: self.look()
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
        settings = self._file.judges[judge.model].settings
        journal, attachments = self._results.judge_calls(judge.label), self._results.attachments

        async def ask(endpoint: Endpoint, tell: Callable[[Asked], None]) -> tuple[list[KeptScore], Asked]:
            return await asked_judge(
                judge, endpoint, answers, settings, journal, attachments, Patience(), tell
            )

        return self.counted(self._judges[judge.model], journal, ask)


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
