"""Score answers of live traces in a process of its own, so that no pattern or long answer holds up the Lab."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.call_progress import report_progress
from genops_lab.core.errors import Conflict
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import private_dir
from genops_lab.genai.endpoints.endpoint import PASSING, Endpoint, is_bounded
from genops_lab.genai.evaluations.asking import Asked, Patience
from genops_lab.genai.evaluations.asking_models import while_wanted
from genops_lab.genai.evaluations.evaluation_file import Model
from genops_lab.genai.evaluations.frozen_files import contained, copy_files, files_of
from genops_lab.genai.evaluations.journal import read
from genops_lab.genai.evaluations.models import ScoreEstimate
from genops_lab.genai.evaluations.results_folder import KeptScore, all_folders, file_name
from genops_lab.genai.evaluations.scoring import asked_judge, scored_here
from genops_lab.genai.scorers.base import Answered, Judge

from .live_scorers import known, read_live_scorers
from .models import NewOnlineScorers
from .store import KnownScorer, TraceScore

if TYPE_CHECKING:
    from genops_lab.genai.scorers.judge_checks import Calibration

#: How long an endpoint may be away before its traces wait, and the calls for one answer.
_PATIENCE = Patience(tries=3, patience_s=3.0)
#: Failures that say that no judge is there, or that it is busy: its traces wait.
_ABSENT = frozenset({"rate", "connection", "key"})
#: The time in which the process of a killed Lab leaves the folder.
_LEAVES_S = 15.0


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The scorers of a file that can look at live traces, and the models that judge.

    ``budgeted``: judges whose settings have ``max_tokens``. ``unpriced``: scorers that ask a model by themselves.
    ``digest``: of the file and of the files that its scorers name.
    """

    scorers: list[KnownScorer]
    judges: dict[str, Model]
    budgeted: list[str]
    unpriced: list[str]
    digest: str


class ScoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a batch. Traces without one wait; if the budget is used, they are left out.

    ``tokens`` and ``money`` are of all calls of the batch, also of those before a crash.
    """

    scores: list[TraceScore]
    tokens: int = 0
    money: float | None = None
    problem: str = ""
    over_budget: bool = False


class ScorerMean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean of a scorer's scores, and what is known of a judge's agreement with people (empty: nothing to say)."""

    mean: ScoreEstimate
    calibrated: bool | None = None
    calibration: str = ""


class OnlineProcess:
    """Runs scorers over the folders below ``root``. ``answers``: the folder of evaluations. All methods block."""

    def __init__(self, root: str, answers: str) -> None:
        self._root, self._answers = Path(root), Path(answers)

    def check(self, body: NewOnlineScorers) -> Checked:
        """Return the scorers of a file. Raises EvaluationFileError, InvalidRequest, NotFound."""
        from genops_lab.genai.scorers.judge_checks import asks_a_model  # numpy

        found = read_live_scorers(body.text, body.name)
        judges = [each for each in found.scorers if isinstance(each, Judge)]
        digest = hashlib.sha256(body.text.encode())
        for name in files_of(found.scorers):
            digest.update(contained(Path(body.folder), name).read_bytes())
        return Checked(
            digest=digest.hexdigest(),
            scorers=[known(each) for each in found.scorers],
            judges=found.judges,
            budgeted=[
                each.label
                for each in judges
                if is_bounded({**found.judges[each.model].settings, **each.settings})
            ],
            unpriced=[
                each.label for each in found.scorers if asks_a_model(each) and not isinstance(each, Judge)
            ],
        )

    def begin(self, id: str, body: NewOnlineScorers) -> None:
        """Copy the files that scorers name. Raises InvalidRequest, NotFound."""
        folder = private_dir(private_dir(self._root) / id)
        scorers = read_live_scorers(body.text, body.name).scorers
        copy_files(files_of(scorers), Path(body.folder), private_dir(folder / "files"))

    def judges(self, text: str) -> dict[str, Model]:
        """Return the models that judge."""
        return read_live_scorers(text, "scorers.yaml").judges

    def score(
        self, id: str, text: str, label: str, batch: int, answers: dict[str, Answered], endpoint: Endpoint | None,
        patient: bool,
    ) -> ScoredBatch:  # fmt: skip
        """Return the scores of a batch by one scorer. Raises InvalidRequest for a scorer that cannot score.

        ``endpoint``: the model that judges, with what is left of the day's budget as its limit. Answers that it gave
        to this batch before a crash are in the batch's journal, and are not paid for again. ``patient``: traces wait
        where the judge fails for all of them, and are not yet not scored.
        """
        found = read_live_scorers(text, "scorers.yaml")
        scorer = next(each for each in found.scorers if each.label == label)
        folder = private_dir(private_dir(self._root) / id)
        keyed = {(endpoint.name if endpoint else "", trace, 0): each for trace, each in answers.items()}
        with self._alone(folder):
            if not isinstance(scorer, Judge):
                kept = scored_here(scorer, keyed, {}, private_dir(folder / "files"), report_progress)
                return ScoredBatch(scores=_of_traces(kept))
            assert endpoint is not None
            journals = private_dir(folder / "judges")
            journal = journals / f"{file_name(label)}-{batch}.jsonl"
            for old in journals.glob(f"{file_name(label)}-*.jsonl"):
                if old != journal:  # its scores are kept and its cost is counted
                    old.unlink()

            async def ask(endpoint: Endpoint) -> tuple[list[KeptScore], Asked]:
                asking = asked_judge(
                    scorer, endpoint, keyed, found.judges[scorer.model].settings, journal, folder / "attachments",
                    _PATIENCE, lambda _asked: None, waits_for=_ABSENT, waits_if_silent=PASSING if patient else (),
                )  # fmt: skip
                return await while_wanted(asyncio.ensure_future(asking), {})

            kept, asked = asyncio.run(ask(endpoint))
            if asked.over_budget:  # calls at once set aside more than calls one after another
                alone = msgspec.structs.replace(endpoint.limits, at_once=1)
                kept, asked = asyncio.run(ask(msgspec.structs.replace(endpoint, limits=alone)))
            why = asked.stopped
            if len(kept) < len(keyed) and not why:
                failures = [call.message for call in read(journal).values() if call.answer is None]
                why = f"The judge {scorer.model} does not answer: {failures[-1] if failures else 'unknown'}"
            return ScoredBatch(
                scores=_of_traces(kept), tokens=asked.spent.total, money=asked.money, problem=why,
                over_budget=asked.over_budget,
            )  # fmt: skip

    def means(self, text: str, values: dict[str, list[float]]) -> dict[str, ScorerMean]:
        """Return the mean of each scorer's scores, and whether people's labels say that a judge can be trusted."""
        from genops_lab.genai.evaluations.report import estimate  # numpy
        from genops_lab.genai.evaluations.report_means import Means
        from genops_lab.genai.scorers.judge_checks import asks_a_model, problem
        from genops_lab.genai.scorers.judges import identity

        file = read_live_scorers(text, "scorers.yaml")
        calibrations = self._calibrations(file.judges)
        found = {}
        for scorer in file.scorers:
            by_trace = {str(at): value for at, value in enumerate(values.get(scorer.label, []))}
            mean = estimate(Means().mean(by_trace, scorer.bounds), scorer.lowest)
            if not asks_a_model(scorer):
                found[scorer.label] = ScorerMean(mean=mean)
                continue
            why = problem(scorer, calibrations)
            said = why or calibrations[identity(scorer)].verdict
            found[scorer.label] = ScorerMean(mean=mean, calibrated=not why, calibration=said)
        return found

    def _calibrations(self, judges: Mapping[str, Model]) -> dict[str, Calibration]:
        """Return the verdicts of all evaluations on judges whose model is the same here, by their identity."""
        from genops_lab.genai.evaluations.evaluation_file import read_evaluation
        from genops_lab.genai.evaluations.kept_labels import kept_labels
        from genops_lab.genai.evaluations.process import all_scorers

        found = {}
        for folder in all_folders(self._answers):
            labels = kept_labels(folder)
            if not labels:
                continue
            scorers, models = all_scorers(folder, read_evaluation(folder.text()))
            own = {each.label: each for each in scorers}
            for label, calibration in (each for kept in labels for each in kept.calibrations.items()):
                name = own[label].asks if label in own else ""
                if not name or (
                    name in models and name in judges and _asks_the_same(models[name], judges[name])
                ):
                    found[calibration.judge] = calibration
        return found

    @contextlib.contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        """Hold the folder's lock: the process of a Lab that was killed may still ask."""
        lock = FileLock(folder / "lock")
        deadline = time.monotonic() + _LEAVES_S
        while not lock.try_acquire():
            report_progress(0)
            if time.monotonic() > deadline:
                raise Conflict(
                    "Another process scores these traces.", hint="They wait, and are scored later."
                )
            time.sleep(0.1)
        try:
            yield
        finally:
            lock.release()


def _asks_the_same(one: Model, other: Model) -> bool:
    """Return whether two models of files are the same model with the same settings."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("deployment", "endpoint", "url", "model", "settings")
    )


def _of_traces(kept: Sequence[KeptScore]) -> list[TraceScore]:
    return [
        TraceScore(
            trace=each.example, value=each.value, reason=re.sub(r"^the row has", "the trace has", each.reason)
        )
        for each in kept
    ]  # fmt: skip
