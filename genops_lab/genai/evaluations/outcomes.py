"""Outcomes of the models of an evaluation: counts, tokens, money, and what a reader must know of the answers."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Price, Usage

from .asking import Asked
from .attachments import digest_with
from .conversing import user_notes
from .evaluation_file import Evaluation
from .journal import Call, Key
from .model_checks import check_notes
from .models import AnswerEvaluation, ModelAnswers
from .paid_calls import paid_calls
from .results_folder import KeptScore, ResultsFolder
from .rows import digest_of

#: Names and fingerprints of models that are kept for each.
_KEPT_NAMES = 5
_MOST_OF_A_REASON = 200


def model_outcomes(
    asked: Sequence[Asked], lost: Sequence[tuple[Key, Usage]], calls: dict[Key, Call], endpoints: Sequence[Endpoint]
) -> list[ModelAnswers]:  # fmt: skip
    """Return what each model gave. ``lost``: calls that were in flight when a process ended."""
    prices = {each.name: each.price for each in endpoints}
    found = []
    for each in asked:
        own = [most for key, most in lost if key[0] == each.model]
        tokens, price = sum(most.total for most in own), prices[each.model]
        money = sum(price.of(most) for most in own) if price else None
        found.append(_outcome(each, calls, price, tokens, money))
    return found


def _outcome(
    asked: Asked, calls: dict[Key, Call], price: Price | None, lost_tokens: int, lost_money: float | None
) -> ModelAnswers:
    own = [call for key, call in calls.items() if key[0] == asked.model]
    answers = [call.answer for call in own if call.answer is not None]
    failures = [call for call in own if call.answer is None]
    latencies = sorted(call.latency_s for call in own if call.answer is not None and not call.joined)
    return ModelAnswers(
        model=asked.model,
        wanted=asked.wanted,
        answered=len(answers),
        failed=len(failures),
        failures=dict(Counter(call.failure for call in failures).most_common()),
        message=failures[-1].message if failures else "",
        joined=sum(call.joined for call in own),
        cut=sum(each.finish_reason == "length" for each in answers),
        again=sum(call.tries > 1 for call in own),
        repeated=asked.repeated,
        repeated_tokens=lost_tokens,
        repeated_money=lost_money,
        unanswered_tokens=sum(call.lost.total for call in own),
        spent=asked.spent,
        money=asked.money,
        currency=price.currency if price else "USD",
        price=price,
        latency_s=latencies[len(latencies) // 2] if latencies else None,
        names=_most(each.model for each in answers),
        fingerprints=_most(each.fingerprint for each in answers),
        stopped=asked.stopped,
    )


def _most(words: Iterator[str]) -> list[str]:
    return [word for word, _times in Counter(filter(None, words)).most_common(_KEPT_NAMES)]


def outcome_notes(
    state: AnswerEvaluation, models: Sequence[ModelAnswers], file: Evaluation, folder: ResultsFolder
) -> list[str]:
    """Say what a reader must know of the answers."""
    found = [*state.data_notes, *user_notes(file, folder.turns), *check_notes(folder)]
    for each in models:
        if len(each.names) > 1:
            found.append(
                f"{each.model} changed while it answered: the endpoint named {', '.join(each.names)}."
            )
        if len(each.fingerprints) > 1:
            found.append(f"{each.model} answered with {len(each.fingerprints)} fingerprints of its system.")
        if each.cut:
            were = "answer of {} was" if each.cut == 1 else "answers of {} were"
            found.append(f"{each.cut:,} {were.format(each.model)} cut off at max_tokens.")
    with contextlib.suppress(OSError):  # the file may be gone: its rows are kept
        source = Path(state.data)
        if (
            source.is_absolute()
            and digest_with(digest_of(source.read_bytes()), folder.attachments) != state.digest
        ):
            found.append(
                f"{Path(state.data).name} was edited since the evaluation began. Its rows are those of the beginning."
            )
    return found


def unscored_notes(scorer: str, scores: Sequence[KeptScore]) -> list[str]:
    """Say how many answers a scorer gave no score, and the most frequent reason.

    Texts in quotes, which a judge or a model said, are left out: not everybody who may read scores may read them.

    >>> unscored_notes("ok", [KeptScore(model="a", example="1", repeat=0, value=None, reason="no mark: 'Lima'")])
    ['ok gave no score to 1 answer: no mark.']
    """
    reasons = Counter(_unquoted(each.reason) for each in scores if each.value is None)
    if not (count := reasons.total()):
        return []
    (reason, times), *others = reasons.most_common()
    why = f"{reason} ({times:,} of them)" if others else reason
    return [f"{scorer} gave no score to {count:,} answer{'' if count == 1 else 's'}: {why}."]


def unasked_notes(scorer: str, count: int, *, id: str) -> list[str]:
    """Say how many answers a scorer that stopped did not look at, and how to go on."""
    more = f", {count:,} of them not looked at" if count else ""
    return [f"{scorer} did not score all answers{more}. Go on with: genops evaluate resume {id}"]


def _unquoted(reason: str) -> str:
    words = re.split(r"(?:^|\s)['\"]", reason, maxsplit=1)[0].strip().splitlines()
    return (words[0][:_MOST_OF_A_REASON].strip(" :.,") if words else "") or "it gave no reason"


def outcome_lines(evaluation: AnswerEvaluation) -> list[str]:
    """Return what a person must know of the answers, a line for each fact."""
    found = []
    for each in evaluation.models:
        line = f"{each.model}: {each.answered:,} of {each.wanted:,} answers"
        if each.failed:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each.failures.items())
            line += f", {each.failed:,} calls failed ({kinds})"
        found.append(
            f"{line}, {each.spent.total:,} tokens."
            if each.spent.known
            else f"{line}. Its tokens are not known."
        )
        found += paid_calls(each)
        if each.stopped:
            found.append(f"{each.model}: {each.stopped}")
        elif each.message:
            found.append(f"{each.model}: the last failure: {each.message}")
    return [*found, *evaluation.notes]
