"""Write and try criteria of a judge, in a process of its own: MLflow's optimizers take seconds to import.

The folder of an alignment lies in that of its evaluation. It has ``plan.json`` (what was asked for, and the labelled
answers of both sides), ``state.json``, and journals: ``marks.jsonl`` of the judge, ``writer.jsonl`` of written
criteria. A call in a journal is not made again.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from genops_lab.core.errors import Failed, NotFound
from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.asking import Asked, Patience
from genops_lab.genai.evaluations.results_folder import KeptScore, ResultsFolder, find_folder
from genops_lab.genai.evaluations.scoring import asked_judge
from genops_lab.genai.prompts.differences import words_changed
from genops_lab.genai.prompts.mlflow_optimizer import TrainingRow, TriedRow, class_name, optimize
from genops_lab.genai.prompts.optimization_models import TrainingScore
from genops_lab.genai.prompts.optimizer_run import OptimizerRun, check_length, mean_value, named
from genops_lab.genai.scorers.judges import Aligned, row_digest

from .alignment_models import AlignmentCost, JudgeAlignment, NewAlignment
from .alignment_plan import (
    AlignmentMaterial,
    LabelledAnswer,
    cost_of,
    held_out_most,
    is_answered,
    judge_settings,
    longest,
    material_of,
    named_mark,
    shown_inputs,
    with_criterion,
)

#: The folder of alignments in that of an evaluation.
FOLDER = "alignments"
_ID = re.compile(r"[0-9a-f]{12}")
#: The name of the criterion in MLflow's optimizers.
_NAME = "criterion"


class AlignmentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The request, with the judge and the labelled answers as they were."""

    body: NewAlignment
    material: AlignmentMaterial


class AlignmentFolder:
    """The folder of one alignment, below ``root``, that of all evaluations. All methods block. Raises NotFound."""

    def __init__(self, root: Path, id: str) -> None:
        found = list(root.glob(f"*/{FOLDER}/{id}/state.json")) if _ID.fullmatch(id) else []
        if found:
            self.id, self.path = id, found[0].parent
            self.results = ResultsFolder(self.path.parent.parent)
            self.marks, self.writer = self.path / "marks.jsonl", self.path / "writer.jsonl"
        else:
            raise NotFound(
                f"There is no alignment {id[:40]!r}.",
                hint="Begin one: genops labels align RESULT --writer ENDPOINT",
            )

    def plan(self) -> AlignmentPlan:
        """Return what was asked for."""
        return msgspec.json.decode((self.path / "plan.json").read_bytes(), type=AlignmentPlan)

    def state(self) -> JudgeAlignment:
        """Return what is known of the alignment."""
        return msgspec.json.decode((self.path / "state.json").read_bytes(), type=JudgeAlignment)

    def keep(self, state: JudgeAlignment) -> None:
        """Keep what is known. Raises OSError."""
        write_private(self.path / "state.json", msgspec.json.encode(state).decode())


def alignments_below(root: Path) -> list[JudgeAlignment]:
    """Return all alignments of the evaluations below ``root``. Blocks."""
    return [
        msgspec.json.decode(each.read_bytes(), type=JudgeAlignment)
        for each in root.glob(f"*/{FOLDER}/*/state.json")
    ]


class AligningProcess:
    """The stages of alignments of the evaluations below ``root``. All methods block."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def plan(self, evaluation: str, body: NewAlignment, judge: Endpoint, writer: Endpoint) -> AlignmentCost:
        """Return the most that an alignment costs. Raises InvalidRequest, NotFound, Failed."""
        return cost_of(body, material_of(find_folder(self._root, evaluation), body), judge, writer)

    def begin(
        self, id: str, evaluation: str, body: NewAlignment, judge: Endpoint, writer: Endpoint
    ) -> JudgeAlignment:
        """Check what was asked for, split the labels and keep all. Raises InvalidRequest, NotFound, Failed."""
        found = material_of(find_folder(self._root, evaluation), body)
        cost_of(body, found, judge, writer)
        state = JudgeAlignment(
            id=id, evaluation=evaluation, judge=found.judge.label, question=found.question,
            optimizer=class_name(body.optimizer), writer=writer.name, seed=body.seed,
            training_answers=len(found.training), held_out_answers=len(found.held_out), created_at=time.time(),
            criterion=found.judge.criterion,
        )  # fmt: skip
        folder = private_dir(private_dir(find_folder(self._root, evaluation).path / FOLDER) / id)
        plan = AlignmentPlan(body=body, material=found)
        write_private(folder / "plan.json", msgspec.json.encode(plan, enc_hook=str).decode())
        write_private(folder / "state.json", msgspec.json.encode(state).decode())
        return state

    def write(self, id: str, judge: Endpoint, writer: Endpoint) -> JudgeAlignment:
        """Let MLflow write criteria, and try them on the training labels. Reports how many calls were made.

        Raises Failed.
        """
        folder = AlignmentFolder(self._root, id)
        run = _Aligning(folder, judge, writer)
        state = run.state(folder.state(), run.run())
        folder.keep(state)
        return state

    def compare(self, id: str, judge: Endpoint, writer: Endpoint) -> JudgeAlignment:
        """Compare both criteria on the held-out labels. Reports how many calls were made. Raises Failed."""
        from .alignment_results import compared  # numpy

        folder = AlignmentFolder(self._root, id)
        plan, state = folder.plan(), folder.state()
        run = _Aligning(folder, judge, writer, is_comparing=True)
        before, after = run.held_out([state.criterion, state.new_criterion])
        state = compared(state, plan.material, before, after, judge.model)
        state = replace(state, tokens=run.tokens, money=run.money, currency=run.currency)
        folder.keep(state)
        return state

    def kept(self, id: str, name: str) -> JudgeAlignment:
        """Return the state with the new judge under a name. It is kept once MLflow has the judge."""
        from .alignment_results import rubric_text  # numpy

        folder = AlignmentFolder(self._root, id)
        material, state = folder.plan().material, folder.state()
        seen = {row_digest(each.answered.row) for each in material.training.values()}
        before = [] if material.judge.aligned is None else material.judge.aligned.rows
        judge = replace(
            with_criterion(material.judge, state.new_criterion), name=name,
            aligned=Aligned(labels=material.question, rows=sorted({*before, *seen})),
        )  # fmt: skip
        return replace(state, kept_as=name, rubric=rubric_text(judge, material.model))

    def tell(self, id: str) -> JudgeAlignment:
        """Write the results in plain words, and end the alignment."""
        from .alignment_results import sentences  # numpy

        folder = AlignmentFolder(self._root, id)
        state = folder.state()
        state = replace(state, stage="done", sentences=sentences(state))
        folder.keep(state)
        return state


class _Aligning(OptimizerRun):
    """One run of an optimizer for a judge. ``is_comparing``: the held-out labels are asked about."""

    def __init__(
        self, folder: AlignmentFolder, judge: Endpoint, writer: Endpoint, *, is_comparing: bool = False
    ) -> None:
        plan = folder.plan()
        self._folder, self._body, self._found = folder, plan.body, plan.material
        self._attachments = folder.results.attachments
        self._judge = named(judge, "judges")
        super().__init__(
            plan.body.optimizer, writer, folder.writer, [(self._judge, [folder.marks])], rounds=plan.body.rounds,
            money=plan.body.money, everything=len(plan.material.training),
            reserved=0.0 if is_comparing else held_out_most(plan.material, judge),
            go_on=f"genops labels resume {folder.id}",
        )  # fmt: skip

    def state(self, state: JudgeAlignment, criterion: str) -> JudgeAlignment:
        """Return the state with what was tried and spent, and the best criterion."""
        first, *others = self.tried.values()
        best = max(others, key=mean_value)
        failed = sum(each.value is None for rows in self.tried.values() for each in rows)
        notes = [self.reason] if self.reason else []
        if failed:
            notes.append(f"{failed:,} calls to the judge about training labels failed. They count nowhere.")
        return replace(
            state, tried=len(others), tokens=self.tokens, money=self.money, currency=self.currency,
            new_criterion=criterion, notes=list(dict.fromkeys([*state.notes, *notes])),
            changed=words_changed(state.criterion, criterion) if criterion else [],
            stage="comparing" if criterion else "writing", training=TrainingScore(
                scorer=state.judge, before=mean_value(first), after=mean_value(best), rows=len(first)
            ),
        )  # fmt: skip

    def optimize(self) -> str:
        """Run the optimizer on the training labels."""
        judge = self._found.judge
        rows = [
            TrainingRow(
                row=id, inputs=shown_inputs(judge, each.answered),
                expectations={"mark of people": named_mark(judge, each.label.value)},
            )
            for id, each in self._found.training.items()
        ]  # fmt: skip
        return optimize(
            self._body.optimizer,
            _NAME,
            judge.criterion,
            rows,
            self._body.rounds,
            self.attempt,
            self.ask_writer,
        )

    def check(self, template: str) -> None:
        """Raise ValueError for a text that is no criterion."""
        if not template.strip():
            raise ValueError("The criterion is empty.")
        if "{{" in template:
            raise ValueError("The criterion must have no variables such as {{name}}.")
        check_length(template, longest(self._found.judge))

    def scored(self, template: str, ids: Sequence[str]) -> list[TriedRow]:
        """Judge training answers by a criterion, and compare the marks with people's."""
        answers = {id: self._found.training[id] for id in ids}
        marks = self._marks(template, answers)
        return [self._tried(id, each, marks.get(id)) for id, each in answers.items()]

    def _tried(self, id: str, each: LabelledAnswer, mark: KeptScore | None) -> TriedRow:
        if mark is None or not is_answered(mark):
            why = "it was not asked" if mark is None else mark.reason
            return TriedRow(row=id, value=None, reasons={"call": why})
        people = named_mark(self._found.judge, each.label.value)
        if mark.value is None:  # a refusal, or a mark outside the scale
            said = f"{mark.reason}. People's mark is {people}."
            return TriedRow(
                row=id, text="no mark", value=0.0, scores={"agreement": 0.0}, reasons={"agreement": said}
            )
        agreement = 1 - abs(mark.value - each.label.value)
        own = named_mark(self._found.judge, mark.value)
        said = f"The judge's mark is {own}, people's mark is {people}. The judge's reason: {mark.reason or 'none'}"
        return TriedRow(
            row=id, text=own, value=agreement, scores={"agreement": agreement}, reasons={"agreement": said}
        )

    def held_out(self, criteria: Sequence[str]) -> list[dict[str, KeptScore]]:
        """Return the marks of the held-out answers by each criterion. Raises Failed."""
        found: list[dict[str, KeptScore]] = []

        def work() -> None:
            found.extend(self._marks(each, self._found.held_out) for each in criteria)

        self.following(work)
        if self.stopped:
            raise Failed(self.stopped, hint=f"Raise the budget, then: genops labels resume {self._folder.id}")
        return found

    def _marks(self, criterion: str, answers: Mapping[str, LabelledAnswer]) -> dict[str, KeptScore]:
        """Return the marks by a criterion. The evaluation's own marks are those of the old one."""
        found: dict[str, KeptScore] = {}
        if criterion == self._found.judge.criterion:
            found = {id: each.mark for id, each in answers.items() if each.mark is not None}
        text = hashlib.sha256(criterion.encode()).hexdigest()[:12]
        missing = {(text, id, 0): each.answered for id, each in answers.items() if id not in found}
        if not missing:
            return found
        judge, settings = with_criterion(self._found.judge, criterion), judge_settings(self._found)

        async def ask(endpoint: Endpoint, tell: Callable[[Asked], None]) -> tuple[list[KeptScore], Asked]:
            return await asked_judge(
                judge, endpoint, missing, settings, self._folder.marks, self._attachments, Patience(), tell
            )

        marks = self.counted(self._judge, self._folder.marks, ask)
        return {**found, **{each.example: each for each in marks}}
