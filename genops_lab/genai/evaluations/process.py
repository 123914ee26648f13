"""Ask and score in a process of its own: answers of a megabyte and slow patterns never hold up the Lab."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.core.paging import Page
from genops_lab.core.paths import private_dir, write_private
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.scorers.base import Answered, Judge
from genops_lab.genai.scorers.judges import Pairwise
from genops_lab.genai.scorers.kinds import Scorer
from genops_lab.genai.scorers.programs import EMBEDDINGS, Embeddings, Mlflow
from genops_lab.genai.scorers.rules_of_calls import Cost
from genops_lab.runtime.money import money_text

from .asking import Asked, Patience
from .asking_models import asked_models, clusters_of, first_turns, wanted_of, while_wanted
from .attachments import Attachments, digest_with, text_of
from .evaluation_file import (
    Evaluation,
    EvaluationFileError,
    Model,
    embedding_models,
    read_evaluation,
    read_scorers,
)
from .file_prices import price_notes, priced, prices_of
from .frozen_files import keep_files
from .journal import Call, Key, read
from .models import (
    EXPERIMENT,
    AllGateEvidence,
    AnsweredRow,
    AnswerEvaluation,
    AnswersQuery,
    AskedUntilKnown,
    ComparedResults,
    Examples,
    ExamplesQuery,
    ModelAnswers,
    NewAnswerEvaluation,
    NewScores,
    PlannedEvaluation,
)
from .outcomes import model_outcomes, outcome_notes, unasked_notes, unscored_notes
from .registered_scorers import RegisteredScorer, registered_in
from .results_folder import KeptScore, ResultsFolder, find_folder, new_folder, new_id
from .rows import Rows, digest_of, read_rows
from .stopping import asked_until_known, random_order, unknown_models

if TYPE_CHECKING:
    from .report import Question

T = TypeVar("T")

ScoringPart = Literal["all", "host", "lab"]
#: Whether a scorer scores in a part.
_IN_PART: dict[ScoringPart, Callable[[Scorer], bool]] = {
    "all": lambda _scorer: True,
    "host": lambda scorer: not isinstance(scorer, Mlflow),
    "lab": lambda scorer: isinstance(scorer, Mlflow),
}
#: How long another process may take to notice that its Lab is gone, and to leave the folder.
_LEAVES_S = 15.0


class AnswersProcess:
    """The stages of evaluations of answers, over the folders below ``root``. All methods block."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)

    def data(self, body: NewAnswerEvaluation) -> str:
        """Return what a file names as its data. Raises EvaluationFileError."""
        return body.data or read_evaluation(body.text, body.name).data

    def registered(self, body: NewAnswerEvaluation) -> list[RegisteredScorer]:
        """Return the scorers of a file that are registered in MLflow. Raises EvaluationFileError."""
        file = read_evaluation(body.text, body.name)
        return registered_in(file.scorers, file.experiment or EXPERIMENT)

    def registered_added(self, id: str, body: NewScores) -> list[RegisteredScorer]:
        """Return the scorers to add that are registered in MLflow. Raises NotFound, EvaluationFileError."""
        file = self._file(find_folder(self._root, id))
        return registered_in(read_scorers(body.text, body.name).scorers, file.experiment or EXPERIMENT)

    def begin(self, body: NewAnswerEvaluation, registered: dict[str, str] | None = None) -> AnswerEvaluation:
        """Check a file and its rows, and freeze both. ``registered``: scorers of MLflow as JSON, by their files.

        Raises EvaluationFileError, InvalidRequest, NotFound, Failed.
        """
        from .planning import data_notes, training_of

        file, source, rows = _read(body)
        said = data_notes(file, rows, training_of(file, body.folder))
        with on_disk():
            folder = new_folder(self._root, file.metadata.name, body.idempotency_key)
            beside = Path(body.folder) if body.data_name else source.parent
            with _removed_if_refused(folder):
                keep_files(file, Path(body.folder), folder.files)
                _keep_registered(folder, registered)
                attachments = Attachments(file.attached, file.pdf, beside, folder.attachments)
                folder.freeze(body.text, attachments.kept(rows.by_id))
            if file.stop_when_known:
                folder.keep_order(random_order(list(rows.by_id), clusters_of(file, rows.by_id)))
            wanted = len(rows.by_id) * file.repeats
            state = AnswerEvaluation(
                id=folder.id, name=file.metadata.name, created_at=time.time(), data=_data_name(file, body, source),
                digest=digest_with(rows.digest, folder.attachments), rows=len(rows.by_id), repeats=file.repeats,
                scorers=[each.label for each in file.scorers],
                models=[ModelAnswers(model=model, wanted=wanted, answered=0) for model in file.models],
                notes=said, data_notes=said, target=body.on,
            )  # fmt: skip
            folder.keep_state(state)
        if not (body.on or file.harness):  # the first call needs it: imported while the Lab keeps the work
            Thread(target=importlib.import_module, args=("aiohttp",), daemon=True).start()
        return state

    def begun(self, body: NewAnswerEvaluation) -> AnswerEvaluation | None:
        """Return the evaluation that an earlier request with the same key began. Raises EvaluationFileError."""
        name = read_evaluation(body.text, body.name).metadata.name
        try:
            return find_folder(self._root, new_id(name, body.idempotency_key)).state()
        except NotFound:
            return None

    def plan(self, body: NewAnswerEvaluation, prices: dict[str, Price] | None = None) -> PlannedEvaluation:
        """Return what an evaluation would ask. ``prices``: those of endpoints, by the names of models and judges.

        Raises EvaluationFileError, InvalidRequest, NotFound.
        """
        from .planning import planned, training_of

        file, _source, rows = _read(body)
        known = prices or {}
        return planned(priced(file, known, known), rows, training_of(file, body.folder))

    def plan_from_kernel(
        self, body: NewAnswerEvaluation
    ) -> tuple[PlannedEvaluation, dict[str, Model], dict[str, Model]]:
        """Return what an evaluation of a kernel on another host would ask, its models, and those that judge.

        Raises NotAllowed for a file that a host must not use, and all that :meth:`plan` raises.
        """
        from .kernel_rules import check_from_kernel
        from .planning import planned

        file = read_evaluation(body.text, body.name)
        check_from_kernel(file, Rows(digest="", by_id={}))  # before any file is read
        file, _source, rows = _read(body)
        check_from_kernel(file, rows)
        return planned(file, rows, None), *_models(file)

    def models_of(self, body: NewAnswerEvaluation) -> tuple[dict[str, Model], dict[str, Model]]:
        """Return the models of a file as :meth:`models` does. Raises EvaluationFileError."""
        return _models(read_evaluation(body.text, body.name))

    def add_scorers(
        self, id: str, body: NewScores, registered: dict[str, str] | None = None
    ) -> AnswerEvaluation:
        """Add scorers to an evaluation. Raises NotFound, EvaluationFileError, Conflict."""
        folder = find_folder(self._root, id)
        given = read_scorers(body.text, body.name)
        with self._alone(folder), on_disk():
            known = {each.label: each for each in all_scorers(folder, self._file(folder))[0]}
            if all(known.get(each.label) == each for each in given.scorers):  # such as after an interrupt
                return folder.state()
            for each in given.scorers:
                if each.label in known:
                    raise Conflict(
                        f"{id} has a scorer with the name {each.label!r} already.",
                        hint="Give this scorer a name of its own: name: ...",
                    )
            _keep_registered(folder, registered)
            folder.keep_added([*folder.added(), body.text])
            labels = [*known, *(each.label for each in given.scorers)]
            state = msgspec.structs.replace(folder.state(), scorers=labels, stage="scoring")
            folder.keep_state(state)
        return state

    def models(self, id: str) -> tuple[dict[str, Model], dict[str, Model]]:
        """Return the models that answer, with all their settings, and those that judge. Raises NotFound."""
        folder = find_folder(self._root, id)
        file = self._file(folder)
        return _models(file)[0], all_scorers(folder, file)[1]

    def ask(self, id: str, endpoints: list[Endpoint], judges: Sequence[Endpoint] = ()) -> AnswerEvaluation:
        """Ask for all answers that are missing, or until the differences are known. Reports how many there are.

        Raises Failed, Conflict.
        """
        folder = find_folder(self._root, id)
        file, rows = self._file(folder), folder.rows()
        if file.harness:
            return self._ask_harness(folder, file, endpoints)
        file = priced(file, prices_of(endpoints), prices_of(judges))
        # The report needs numpy and scipy: imported while answers are waited for.
        Thread(target=_import_report, daemon=True).start()
        with (
            self._alone(folder),
            on_disk(f"What was answered is kept. Free some space, then: {_resume(id)}"),
        ):
            folder.keep_prices(prices_of(endpoints))
            known = self._known(folder, file, rows, judges) if file.stop_when_known else None
            asked, lost, calls = asyncio.run(asked_models(folder, file, rows, endpoints, judges, known))
            models = model_outcomes(asked, lost, calls, endpoints)
            state = folder.state()
            state = msgspec.structs.replace(
                state, models=models, stage="scoring", notes=outcome_notes(state, models, file, folder)
            )
            folder.keep_state(state)
        return state

    def _ask_harness(
        self, folder: ResultsFolder, file: Evaluation, endpoints: Sequence[Endpoint]
    ) -> AnswerEvaluation:
        """Run the harness for each model that has no whole result. Raises Failed, Conflict."""
        from .harness_results import asked_harness

        with self._alone(folder), on_disk(f"Free some space, then: {_resume(folder.id)}"):
            asked, lost, calls = asked_harness(folder, file, endpoints, report_progress)
            state = folder.state()
            models = model_outcomes(asked, lost, calls, endpoints)
            state = msgspec.structs.replace(
                state, models=models, stage="scoring", rows=len(folder.rows()),
                notes=outcome_notes(state, models, file, folder),
                scorers=[each.label for each in all_scorers(folder, file)[0]],
            )  # fmt: skip
            folder.keep_state(state)
        return state

    def score(self, id: str, judges: list[Endpoint], part: ScoringPart = "all") -> AnswerEvaluation:
        """Score all answers that have no score yet, and report on all. Reports how many are done.

        On the host of a target the ``part`` is "host": the scorers of MLflow are left out, and there is no report. The
        Lab does these: the part "lab". The notes name a scorer that cannot score, and the others go on.

        Raises Failed, Conflict.
        """
        folder = find_folder(self._root, id)
        file, rows = self._file(folder), folder.rows()
        private_dir(folder.files)
        with self._alone(folder), on_disk(f"No answer is lost. Free some space, then: {_resume(id)}"):
            calls = read(folder.calls)
            state = folder.state()
            file = priced(file, {each.model: each.price for each in state.models}, prices_of(judges))
            found, notes, unfinished = self._all_scores(folder, file, rows, calls, judges, _IN_PART[part])
            if part != "host":
                _keep_report(folder, file, state, calls, found, rows)
            before = outcome_notes(state, state.models, file, folder)
            if part == "lab":
                before, unfinished = state.notes, [*state.unfinished, *unfinished]
            notes = list(dict.fromkeys([*before, *notes]))
            state = msgspec.structs.replace(state, stage="recording", notes=notes, unfinished=unfinished)
            folder.keep_state(state)
        return state

    def report_again(self, id: str) -> AnswerEvaluation:
        """Make the report of the kept scores again, with the labels of now. No model is asked. Raises Conflict."""
        folder = find_folder(self._root, id)
        file, rows = self._file(folder), folder.rows()
        with self._alone(folder), on_disk(f"Free some space, then: genops evaluate score {id}"):
            state = folder.state()
            if folder.report() is None:
                raise Conflict(
                    f"The answers of {id} are not scored yet.", hint=_resume(id), code="not_scored"
                )
            scores = {each.label: folder.scores(each.label) for each in all_scorers(folder, file)[0]}
            _keep_report(folder, file, state, read(folder.calls), scores, rows)
        return state

    def _all_scores(
        self, folder: ResultsFolder, file: Evaluation, rows: dict[str, dict[str, Any]], calls: dict[Key, Call],
        judges: Sequence[Endpoint], scores: Callable[[Scorer], bool],
    ) -> tuple[dict[str, dict[Key, KeptScore]], list[str], list[str]]:  # fmt: skip
        """Score all answers that have no score yet, and keep the scores.

        A scorer for which ``scores`` is false scores nothing now: its kept scores count. Returns all by scorer, what
        to say, and the scorers that stopped before the end.
        """
        from .scoring import answered

        scorers, settings = all_scorers(folder, file)
        endpoints = {each.name: each for each in judges}
        wanted = {
            (model, each.example, each.repeat): each
            for model in file.models
            for each in wanted_of(file, rows, model)
        }
        answers = answered(file, calls, wanted, rows)
        found, notes, unfinished = {}, [], []
        for scorer in scorers:
            if not scores(scorer):
                found[scorer.label] = folder.scores(scorer.label)
                continue
            try:
                kept, said, ended = self._scores(folder, file, scorer, answers, endpoints, settings)
                notes += said
            except InvalidRequest as error:
                kept, ended = [], False
                notes.append(f"{error.message} {error.hint}".strip())
            if isinstance(scorer, Cost):
                notes += price_notes(scorer.label, file)
            # The other models are beside the first one in a pairwise judge.
            first = next(iter(file.models)) if isinstance(scorer, Pairwise) else ""
            notes += unscored_notes(scorer.label, [each for each in kept if each.model != first])
            if not ended:
                unfinished.append(scorer.label)
                notes += unasked_notes(scorer.label, len(answers) - len(kept), id=folder.id)
            folder.keep_scores(scorer.label, kept)
            found[scorer.label] = {each.key: each for each in kept}
        return found, notes, unfinished

    def _known(
        self, folder: ResultsFolder, file: Evaluation, rows: dict[str, dict[str, Any]], judges: Sequence[Endpoint]
    ) -> Callable[[dict[Key, Call], set[str]], list[str]]:  # fmt: skip
        """Return what says which models have a difference that is not known yet, by some of the rows."""
        question = question_of(folder, file, rows)

        def unknown(calls: dict[Key, Call], seen: set[str]) -> list[str]:
            found = self._all_scores(folder, file, rows, calls, judges, lambda each: each.bounds is not None)[
                0
            ]
            there = {
                name: {key: mark for key, mark in marks.items() if key[1] in seen}
                for name, marks in found.items()
            }
            return unknown_models(there, question)

        return unknown

    def _scores(
        self, folder: ResultsFolder, file: Evaluation, scorer: Scorer, answers: dict[Key, Answered],
        endpoints: dict[str, Endpoint], judges: dict[str, Model],
    ) -> tuple[list[KeptScore], list[str], bool]:  # fmt: skip
        """Return the scores, what to say, and whether all answers were looked at."""
        from .scoring import asked_judge, scored_here

        if not isinstance(scorer, Judge) and not (isinstance(scorer, Embeddings) and scorer.asks):
            known = folder.scores(scorer.label)
            return scored_here(scorer, answers, known, folder.files, report_progress), [], True
        done = {scorer.label: 0}

        async def ask() -> tuple[list[KeptScore], Asked]:
            return await while_wanted(
                asyncio.ensure_future(
                    asked_judge(
                        scorer, endpoints[scorer.asks], answers, judges[scorer.asks].settings,
                        folder.judge_calls(scorer.label), folder.attachments,
                        Patience(tries=file.tries, patience_s=file.patience_s),
                        lambda asked: done.update({scorer.label: asked.answered + asked.failed}),
                    )
                ),
                done,
            )  # fmt: skip

        scores, asked = asyncio.run(ask())
        price = endpoints[scorer.asks].price
        cost = "" if asked.money is None or not price else f", {money_text(asked.money, price.currency)}"
        asks = scorer.asks.removeprefix(EMBEDDINGS)
        said = f"{scorer.label} used {asked.spent.total:,} tokens of {asks}{cost}."
        if not asked.spent.known:
            said = f"The tokens that {scorer.label} used are not known: {asks} does not count them."
        ended = not asked.stopped and not asked.failed
        return scores, [said, asked.stopped] if asked.stopped else [said], ended

    def answers(self, id: str, query: AnswersQuery) -> Page[AnsweredRow]:
        """Return rows with their answers. Raises NotFound, Conflict."""
        from .answers import answered_rows

        ids = [id, query.against] if query.against else [id]
        return answered_rows([find_folder(self._root, each) for each in ids], query)

    def examples(self, id: str, query: ExamplesQuery) -> Examples:
        """Return the examples with their scores. Raises NotFound, Conflict."""
        from .examples import list_examples

        folder = find_folder(self._root, id)
        file = self._file(folder)
        first = next(iter(file.models))
        asked = {id: text_of(first_turns(file, row, id, first)) for id, row in folder.rows().items()}
        other = find_folder(self._root, query.against) if query.against else None
        return list_examples(folder, asked, list(file.models), query, other)

    def gate_evidence(self, id: str) -> AllGateEvidence:
        """Return what gates may stand on; the notes of the evaluation get what is left out. Raises NotFound."""
        from .gate_evidence import evidence_of

        folder = find_folder(self._root, id)
        report = folder.report()
        assert report is not None
        with self._alone(folder), on_disk():
            file = self._file(folder)
            pairs = {each.label for each in all_scorers(folder, file)[0] if isinstance(each, Pairwise)}
            found = evidence_of(folder, file, folder.state(), report, pairs)
            if found.left_out:
                state = folder.state()
                notes = list(dict.fromkeys([*state.notes, *found.left_out]))
                folder.keep_state(msgspec.structs.replace(state, notes=notes))
        return found

    def compare(self, id: str, against: str) -> ComparedResults:
        """Return the differences of an evaluation to another of the same rows. Raises NotFound, Conflict."""
        from .comparing import compare_results

        return compare_results(find_folder(self._root, id), find_folder(self._root, against))

    def _file(self, folder: ResultsFolder) -> Evaluation:
        return read_evaluation(folder.text(), f"{folder.id}/evaluation.yaml")

    @contextlib.contextmanager
    def _alone(self, folder: ResultsFolder) -> Iterator[None]:
        """Hold the folder's lock. Raises Conflict if another process keeps it."""
        lock = folder.lock()
        deadline = time.monotonic() + _LEAVES_S
        while not lock.try_acquire():
            report_progress(0)
            if time.monotonic() > deadline:
                raise Conflict(
                    f"Another process works on the evaluation {folder.id}.",
                    hint="Wait until it is done, or cancel its task.",
                    code="under_way",
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            lock.release()


def _read(body: NewAnswerEvaluation) -> tuple[Evaluation, Path, Rows]:
    """Return a file, the path of its rows and the rows. Raises EvaluationFileError, InvalidRequest, NotFound."""
    file = read_evaluation(body.text, body.name)
    if file.harness:
        digest = digest_of(msgspec.json.encode(file.harness))
        return file, Path(file.harness.task), Rows(digest=digest, by_id={})
    if not (body.data or file.data):
        raise EvaluationFileError(
            f"{body.name} has no data.",
            hint="Name a file with rows, data: FILE, or give rows with the command.",
        )
    source = Path(body.data) if body.data else Path(body.folder, file.data)
    rows = read_rows(source, file.id, file.only)
    for id, row in rows.by_id.items():
        for model in file.models:
            first_turns(file, row, id, model)
    known = {column for row in rows.by_id.values() for column in row}
    for column in [file.cluster, *file.slices]:
        if column and column not in known:
            raise InvalidRequest(
                f"{source.name} has no column {column!r}.", hint=f"Its columns: {', '.join(sorted(known))}."
            )
    return file, source, rows


def _models(file: Evaluation) -> tuple[dict[str, Model], dict[str, Model]]:
    """Return the models that answer, with all their settings, and those that judge."""
    models = {
        label: msgspec.structs.replace(each, settings={**file.settings, **each.settings})
        for label, each in file.models.items()
    }
    return models, file.judges | embedding_models(file.scorers)


def _import_report() -> None:
    importlib.import_module("aiohttp")  # the first call waits for it, and both at once take longer
    with contextlib.suppress(ImportError):  # the host of a target makes no report
        importlib.import_module(f"{__package__}.report")


def _keep_registered(folder: ResultsFolder, registered: Mapping[str, str] | None) -> None:
    private_dir(folder.files)
    for name, content in (registered or {}).items():
        write_private(folder.files / name, content)


def _data_name(file: Evaluation, body: NewAnswerEvaluation, source: Path) -> str:
    """Return what the evaluation calls its rows."""
    if file.harness:
        return f"{'inspect' if file.harness.inspect else 'lm_eval'}:{file.harness.task}"
    return body.data_name or str(source)


def question_of(folder: ResultsFolder, file: Evaluation, rows: Mapping[str, Mapping[str, Any]]) -> Question:
    """Return what the report of an evaluation is about."""
    from .kept_labels import kept_labels
    from .report import Question
    from .report_labels import labels_of
    from .report_means import Means, Sequences

    clusters, order = clusters_of(file, rows), folder.order()
    given, judges = all_scorers(folder, file)
    scorers = {each.label: each for each in given}
    return Question(
        models=list(file.models),
        scorers=scorers,
        repeats=file.repeats,
        means=Sequences(order, clusters, is_finite=file.about == "these rows") if order else Means(clusters),
        slices={
            column: {id: str(row[column]) for id, row in rows.items() if row.get(column) is not None}
            for column in file.slices
        },
        smallest=file.smallest_difference,
        labels=labels_of(scorers, kept_labels(folder), rows),
        names={name: each.asked_as for name, each in {**file.models, **judges}.items()},
    )


def _keep_report(
    folder: ResultsFolder, file: Evaluation, state: AnswerEvaluation, calls: dict[Key, Call],
    scores: dict[str, dict[Key, KeptScore]], rows: dict[str, dict[str, Any]],
) -> None:  # fmt: skip
    from .report import report_of  # numpy
    from .report_messages import sentences

    report = report_of(calls, scores, question_of(folder, file, rows))
    report = msgspec.structs.replace(report, stopped=_stopped(folder, file, state, scores, rows))
    folder.keep_report(msgspec.structs.replace(report, sentences=sentences(report)))


def _stopped(
    folder: ResultsFolder, file: Evaluation, state: AnswerEvaluation, scores: dict[str, dict[Key, KeptScore]],
    rows: dict[str, dict[str, Any]],
) -> AskedUntilKnown | None:  # fmt: skip
    """Return how far an evaluation with ``stop_when_known`` came."""
    if not file.stop_when_known:
        return None
    return asked_until_known(
        state.models, max(each.wanted for each in state.models) // file.repeats, state.rows, file.repeats,
        known=not unknown_models(scores, question_of(folder, file, rows)), finite=file.about == "these rows",
    )  # fmt: skip


def all_scorers(folder: ResultsFolder, file: Evaluation) -> tuple[list[Scorer], dict[str, Model]]:
    """Return the scorers of a file and those that were added, and the models that they ask."""
    scorers, judges = [*file.scorers], dict(file.judges)
    for text in folder.added():
        added = read_scorers(text)
        scorers += added.scorers
        judges |= added.judges
    return scorers, judges | embedding_models(scorers)


@contextlib.contextmanager
def _removed_if_refused(folder: ResultsFolder) -> Iterator[None]:
    """Remove a folder whose evaluation cannot begin."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _resume(id: str) -> str:
    return f"genops evaluate resume {id}"


@contextlib.contextmanager
def on_disk(hint: str = "Free some disk space, and evaluate again.") -> Iterator[None]:
    """Turn errors of the disk into ours."""
    try:
        yield
    except OSError as error:
        raise Failed(
            f"The evaluation cannot be written: {error.strerror or error}.", hint=hint, code="disk"
        ) from error
