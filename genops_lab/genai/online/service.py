"""Score a sample of the live traces of deployments while the Lab runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import time
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.operations import require
from genops_lab.core.paths import write_private
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.worker import Worker
from genops_lab.deployments.live_scorers import AskedScorers, Scored
from genops_lab.deployments.tracing_settings import Traced
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.scorers.base import Answered

from .backend import LiveTrace, OnlineTraces
from .messages import sentences
from .models import NewOnlineScorers, OnlineScorer, OnlineScorers
from .process import Checked, OnlineProcess, ScoredBatch, ScorerMean
from .store import Config, Counted, KnownScorer, OnlineStore, Scoring, TraceScore, day_of

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.evaluations.evaluation_file import Model
    from genops_lab.genai.evaluations.service import AnswersService
    from genops_lab.genai.traces.service import KnownPrices

_EVERY_S = 3.0
#: Traces of a batch: a batch of a judge is also the most that is asked after a pause.
_OF_RULES, _OF_JUDGES = 200, 20
#: Seconds until a scorer with a problem is tried again: doubled each time. A judge that fails for all traces of a batch
#: is tried so often before they count as not scored: for a quarter of an hour.
_AGAIN_S, _AGAIN_AT_MOST_S, _TRIES = 5.0, 60.0, 18
_MEANS_HOLD_S = 60.0
#: What scores the traces, in the folder of the scorers.
_CONFIG = "config.json"
log = logging.getLogger("genops_lab")


class OnlineService(Service):
    """Takes the traces that wait, runs their scorers in a process of its own, and writes assessments into MLflow.

    An assessment is written first, and the trace is marked after it. So a trace that was not marked is looked up.
    """

    def __init__(
        self, settings: Settings, store: OnlineStore, local: LocalStore, mlflow: MlflowConnection, events: EventBus,
        answers: AnswersService, prices: KnownPrices,
    ) -> None:  # fmt: skip
        from genops_lab.deployments.records import Records  # SQLAlchemy

        self._root = settings.data_dir / "online"
        self._records, self._store = Records(local), store
        self._mlflow, self._events, self._answers, self._prices = mlflow, events, answers, prices
        config = {"root": str(self._root), "answers": str(settings.data_dir / "answers")}
        self._worker = Worker("Scores of live traces", config, idle_s=60.0)
        self._again: dict[tuple[str, str], tuple[int, float]] = {}
        #: The means of a scoring by the number of its scores, and until when they hold.
        self._means: dict[str, tuple[list[int], float, dict[str, ScorerMean]]] = {}

    async def close(self) -> None:
        """Stop the process. The traces of its batch are scored by the next Lab."""
        await self._worker.stop(within_s=1.0)

    async def set_online_scorers(self, name: str, body: NewOnlineScorers) -> OnlineScorers:
        """Score a sample of a deployment's traces from now on, in place of the scorers before.

        Raises NotFound, Conflict (no request becomes a trace), EvaluationFileError, InvalidRequest (a scorer that needs
        more than a trace has, a budget that cannot be kept).
        """
        record = await asyncio.to_thread(self._records.get, name)
        traces = record.wanted.traces
        if traces is None:
            if not body.record:
                raise Conflict(
                    f"No request to {name!r} becomes a trace.",
                    hint=f"Make traces first: genops deployments record {name} --traces --sample 0.05",
                    code="no_traces",
                )
            await require("execute", "traces", "The requests of the deployment become traces")
            traces = Traced(sample=body.sample)
            body = msgspec.structs.replace(body, sample=1.0)
        asked = AskedScorers(
            text=body.text, file=body.name, folder=body.folder, sample=body.sample, money_per_day=body.money_per_day
        )  # fmt: skip
        scored = await self.keep(name, asked)
        try:
            await asyncio.to_thread(self._records.change_scored, record, scored)
        except BaseException:
            await self.drop(scored.id)
            raise
        if record.wanted.traces is None:
            await asyncio.to_thread(self._records.change_traces, record, traces)
        await self._current(name)
        self._events.emit("deployment", name)
        return await self.get_online_scorers(name)

    async def check(self, name: str, asked: AskedScorers) -> Scored:
        """Return scorers that a deployment may get, without an id. Raises as :meth:`set_online_scorers`."""
        return (await self._checked(name, asked))[0]

    async def keep(self, name: str, asked: AskedScorers) -> Scored:
        """Check scorers and copy their files, so that later changes do not count. Returns them with their id."""
        scored, config = await self._checked(name, asked)
        id = secrets.token_hex(6)
        await self._worker.call(OnlineProcess.begin, id, _body(asked))
        content = msgspec.json.encode(config).decode()
        await asyncio.to_thread(write_private, self._root / id / _CONFIG, content)
        return msgspec.structs.replace(scored, id=id)

    async def drop(self, id: str) -> None:
        """Remove the copy of scorers; idempotent."""
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, self._root / id)

    async def _checked(self, name: str, asked: AskedScorers) -> tuple[Scored, Config]:
        checked = await self._worker.call(OnlineProcess.check, _body(asked))
        currency = await self._check_judges(name, asked, checked)
        config = Config(
            text=asked.text, scorers=checked.scorers, sample=asked.sample, money_per_day=asked.money_per_day,
            currency=currency,
        )  # fmt: skip
        scored = Scored(
            file=asked.file, labels=[each.label for each in checked.scorers], digest=checked.digest,
            sample=asked.sample, money_per_day=asked.money_per_day, currency=currency,
        )  # fmt: skip
        return scored, config

    async def get_online_scorers(self, name: str) -> OnlineScorers:
        """Return which scorers look at which traces of a deployment, and what they found. Raises NotFound."""
        record = await asyncio.to_thread(self._records.get, name)
        found = await self._current(name)
        traced = record.wanted.traces.sample if record.wanted.traces else 0.0
        if found is None:
            return OnlineScorers(deployment=name, state="off", traced=traced)
        counted = await asyncio.to_thread(self._store.counted, found)
        means = await self._means_of(found, counted)
        today = day_of(time.time())
        shown = OnlineScorers(
            deployment=name, state="paused" if found.paused else "on", since=found.since, traced=traced,
            sample=found.config.sample, seen=found.seen, sampled=found.sampled, currency=found.config.currency,
            money_per_day=found.config.money_per_day,
            money_today=await asyncio.to_thread(self._store.money_of_day, name, today),
            money=_sum([each.money for each in counted.values()]), budget_used=found.used_day == today,
            scorers=[
                _shown(each, counted[each.label], means[each.label]) for each in found.config.scorers
            ],
        )  # fmt: skip
        return msgspec.structs.replace(shown, sentences=sentences(shown))

    async def _means_of(self, found: Scoring, counted: dict[str, Counted]) -> dict[str, ScorerMean]:
        """Return the means, computed again after a new score, or a minute later for new labels of people."""
        numbers = [each.states.get("scored", 0) for each in counted.values()]
        known, until, means = self._means.get(found.id, ([], 0.0, {}))
        if known != numbers or time.monotonic() > until:
            values = {label: each.values for label, each in counted.items()}
            means = await self._worker.call(OnlineProcess.means, found.config.text, values)
            self._means[found.id] = (numbers, time.monotonic() + _MEANS_HOLD_S, means)
        return means

    async def delete_online_scorers(self, name: str) -> None:
        """Score no more traces of a deployment, and forget the counts; idempotent. The scores stay in MLflow."""
        record = await asyncio.to_thread(self._records.find, name)
        if record is not None:
            await asyncio.to_thread(self._records.change_scored, record, None)
        await self._current(name)
        self._events.emit("deployment", name)

    async def pause_online_scorers(self, name: str) -> OnlineScorers:
        """Score nothing until it is resumed. New traces of the sample wait. Raises NotFound."""
        return await self._pause(name, paused=True)

    async def resume_online_scorers(self, name: str) -> OnlineScorers:
        """Score the traces that wait, and new ones. Raises NotFound."""
        return await self._pause(name, paused=False)

    async def supervise(self) -> None:
        """Score the traces that wait in an endless loop."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.score_waiting()
            except Exception:  # the boundary: one deployment must not end the scores of all
                log.exception("Live traces could not be scored")

    async def score_waiting(self) -> None:
        """Score the traces that wait for all scorers of all deployments."""
        for name in await asyncio.to_thread(self._unlike):
            await self._current(name)
        for found in await asyncio.to_thread(self._store.all):
            for scorer in found.config.scorers:
                key = (found.id, scorer.label)
                tries, at = self._again.get(key, (0, 0.0))
                if time.monotonic() < at:
                    continue
                try:
                    problem = await self._score_all(found, scorer, patient=tries < _TRIES)
                except GenOpsError as error:
                    problem = f"{error.message} {error.hint}".strip()
                if not problem:
                    self._again.pop(key, None)
                    continue
                if not tries:
                    log.warning(
                        "Traces of %s wait for the scorer %s: %s", found.deployment, scorer.label, problem
                    )
                pause = min(_AGAIN_AT_MOST_S, _AGAIN_S * 2**tries)
                self._again[key] = (min(tries + 1, _TRIES), time.monotonic() + pause)
                await asyncio.to_thread(self._store.tell, found.id, scorer.label, problem)

    async def _score_all(self, found: Scoring, scorer: KnownScorer, patient: bool) -> str:
        """Score batch by batch, and return why the rest waits; empty if nothing does."""
        while True:
            now = await asyncio.to_thread(self._store.get, found.deployment)
            if now is None or now.id != found.id or now.paused:
                return ""
            most = _OF_JUDGES if scorer.judge else _OF_RULES
            batch, traces = await asyncio.to_thread(self._store.waiting, found.id, scorer.label, most)
            if not traces:
                return ""
            if scorer.judge and now.used_day == day_of(time.time()):
                await asyncio.to_thread(self._store.leave_out, now, scorer.label)
                self._events.emit("deployment", found.deployment)
                return ""
            prices = dict(await self._prices.of())
            read = await self._mlflow.call_long(OnlineTraces.read, traces, prices, scorer.documents)
            there = [each for each in read if not each.late]
            if not there:  # spans of their applications may still come
                return ""
            problem = await self._score(now, scorer, batch, there, patient)
            self._events.emit("trace")
            self._events.emit("deployment", found.deployment)
            if problem or len(there) < len(read):
                return problem

    async def _score(
        self, found: Scoring, scorer: KnownScorer, batch: int, read: list[LiveTrace], patient: bool
    ) -> str:  # fmt: skip
        """Score a batch, write its assessments, and mark its traces. Returns why some of them wait."""
        answers = {each.trace: each.answered for each in read if each.answered is not None}
        scores = [
            TraceScore(trace=each.trace, value=None, reason=each.reason) for each in read if not each.answered
        ]
        done = ScoredBatch(scores=[])
        if answers:
            endpoint = await self._judge(found, scorer, batch)
            done = await self._scored(found, scorer, batch, answers, endpoint, patient)
        scores += done.scores
        lock = str(self._root / "write.lock")
        await self._mlflow.call_long(OnlineTraces.write, found.id, scorer.label, scorer.source, scores, lock)
        missing = {each.trace for each in read} - {each.trace for each in scores}
        await asyncio.to_thread(
            self._store.charge, found, scorer.label, batch, day_of(time.time()), done.tokens, done.money
        )
        if missing and not done.over_budget:
            return done.problem  # the batch goes on later: its journal has what was paid for
        used_day = day_of(time.time()) if done.over_budget else ""
        await asyncio.to_thread(self._store.mark, found, scorer.label, scores, missing, used_day)
        return ""

    async def _scored(
        self, found: Scoring, scorer: KnownScorer, batch: int, answers: dict[str, Answered],
        endpoint: Endpoint | None, patient: bool,
    ) -> ScoredBatch:  # fmt: skip
        return await self._worker.follow(
            lambda _done: None, OnlineProcess.score, found.id, found.config.text, scorer.label, batch, answers,
            endpoint, patient,
        )  # fmt: skip

    async def _judge(self, found: Scoring, scorer: KnownScorer, batch: int) -> Endpoint | None:
        """Return the endpoint of a scorer's judge, limited to what other batches left of the day's budget."""
        if not scorer.judge:
            return None
        models = await self._worker.call(OnlineProcess.judges, found.config.text)
        endpoint = await self._answers.endpoint_of(scorer.judge, _unlimited(models[scorer.judge]))
        if found.config.money_per_day is None:
            return endpoint
        own = (found.id, scorer.label, batch)
        spent = await asyncio.to_thread(self._store.money_of_day, found.deployment, day_of(time.time()), own)
        left = max(found.config.money_per_day - (spent or 0.0), 1e-12)
        limits = msgspec.structs.replace(endpoint.limits, money=left, tokens=None)
        return msgspec.structs.replace(endpoint, limits=limits)

    async def _check_judges(self, name: str, body: AskedScorers, checked: Checked) -> str:
        """Return the currency of the judges' prices. Raises InvalidRequest for a budget that cannot be kept."""
        currencies = set()
        for label, model in checked.judges.items():
            if name in (model.deployment, model.endpoint.removeprefix("deployment:")):
                raise InvalidRequest(
                    f"The judge {label!r} is the deployment {name!r} itself: its answers would become traces again.",
                    hint="Let another model judge.",
                )
            endpoint = await self._answers.endpoint_of(label, _unlimited(model))
            if endpoint.price is not None:
                currencies.add(endpoint.price.currency)
            if body.money_per_day is None:
                if endpoint.limits.money is not None or endpoint.limits.tokens is not None:
                    raise InvalidRequest(
                        f"The judge {label!r} has a budget for one evaluation, and live traces have no end.",
                        hint="Give a budget for a day: --money-per-day AMOUNT",
                    )
            elif endpoint.price is None:
                raise InvalidRequest(
                    f"The judge {label!r} has no price, so a budget of money cannot be kept.",
                    hint="Add price: {input: ..., output: ...} to the judge, of a million tokens.",
                )
        if body.money_per_day is not None:
            self._check_budget(checked)
        if len(currencies) > 1 and body.money_per_day is not None:
            raise InvalidRequest(
                f"The judges have prices in {', '.join(sorted(currencies))}.", hint="Use one currency."
            )
        return next(iter(currencies)) if len(currencies) == 1 else ""

    def _check_budget(self, checked: Checked) -> None:
        for scorer in checked.scorers:
            if scorer.judge and scorer.label not in checked.budgeted:
                raise InvalidRequest(
                    f"The scorer {scorer.label!r} has no max_tokens, so the budget cannot be kept.",
                    hint="Add settings: {max_tokens: 300} to the judge: it is set aside before each call.",
                )
            if scorer.label in checked.unpriced:
                raise InvalidRequest(
                    f"MLflow's scorer {scorer.label!r} asks a model by itself, so the budget cannot be kept.",
                    hint="Use a rubric, or leave out the budget.",
                )

    async def _pause(self, name: str, paused: bool) -> OnlineScorers:
        await asyncio.to_thread(self._records.get, name)
        if await self._current(name) is None:
            raise NotFound(
                f"No scorer looks at the traces of {name!r}.",
                hint=f"Begin: genops traces score {name} --scorers FILE",
            )
        await asyncio.to_thread(self._store.pause, name, paused)
        self._events.emit("deployment", name)
        return await self.get_online_scorers(name)

    def _unlike(self) -> list[str]:
        """Return deployments whose scorers are not those of their records, such as after a file was applied. Blocks."""
        wanted = {
            each.name: (each.wanted.scored.id, each.created_at)
            for each in self._records.all()
            if each.wanted.scored is not None
        }
        scored = {each.deployment: (each.id, each.created_at) for each in self._store.all()}
        return [name for name in {**wanted, **scored} if wanted.get(name) != scored.get(name)]

    async def _current(self, name: str) -> Scoring | None:
        """Return the scorers that the record of a deployment names. They begin, or those of before end, if needed."""
        found, before = await asyncio.to_thread(self._agreed, name)
        if before is not None:
            self._means.pop(before.id, None)
            for key in [key for key in self._again if key[0] == before.id]:
                del self._again[key]
            if found is None or found.id != before.id:
                await self.drop(before.id)
        return found

    def _agreed(self, name: str) -> tuple[Scoring | None, Scoring | None]:
        """Return the scorers of a deployment, and those that ended now, if any. Blocks."""
        record, before = self._records.find(name), self._store.get(name)
        wanted = record.wanted.scored if record else None
        if record is None or wanted is None:
            if before is not None:
                self._store.forget(name)
            return None, before
        if before is not None and (before.id, before.created_at) == (wanted.id, record.created_at):
            return before, None
        try:
            config = msgspec.json.decode((self._root / wanted.id / _CONFIG).read_bytes(), type=Config)
        except FileNotFoundError:  # somebody removed the folder
            self._store.forget(name)
            return None, before
        self._store.begin(
            Scoring(
                deployment=name, id=wanted.id, created_at=record.created_at, since=time.time(), config=config
            )
        )  # fmt: skip
        return self._store.get(name), before


def _body(asked: AskedScorers) -> NewOnlineScorers:
    return NewOnlineScorers(
        text=asked.text, name=asked.file, folder=asked.folder, sample=asked.sample, money_per_day=asked.money_per_day
    )  # fmt: skip


def _unlimited(model: Model) -> Model:
    """Return a model without the check of its budget for one evaluation."""
    return (
        msgspec.structs.replace(model, settings={**model.settings, "max_tokens": 1})
        if model.endpoint
        else model
    )


def _shown(scorer: KnownScorer, counted: Counted, known: ScorerMean) -> OnlineScorer:
    return OnlineScorer(
        scorer=scorer.label, judge=scorer.judge, scored=counted.states.get("scored", 0),
        not_scored=counted.states.get("not_scored", 0), left_out=counted.states.get("left_out", 0),
        waiting=counted.waiting, reasons=counted.reasons, mean=known.mean, calibration=known.calibration,
        calibrated=known.calibrated, money=counted.money, tokens=counted.tokens, problem=counted.problem,
    )  # fmt: skip


def _sum(values: list[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if known else None
