"""Ask an endpoint a few fixed questions, and say whether the model behind its name is still the same."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .embeddings import cosine, from_text
from .endpoint import Answer, CallFailed, Connection
from .models import EndpointState, Probe, ProbeAnswer

#: Short, so that a probe costs little, and such that models differ: spelling, numbers, a list, style, code.
PROMPTS = (
    "Name one colour of the rainbow that is not red. Answer with one word.",
    "What is 17 * 23? Answer with the number alone.",
    "List three rivers of Africa, separated by commas.",
    "Write one sentence about rain.",
    "Write a Python expression for the last three elements of the list xs. No explanation.",
)
#: An answer is compared, not read.
MAX_TOKENS = 64
_SETTINGS: dict[str, Any] = {"temperature": 0, "seed": 7, "max_tokens": MAX_TOKENS}
#: Reasoning models refuse ``max_tokens`` and ``temperature``; others refuse ``seed``.
_REFUSABLE = ("temperature", "seed", "max_tokens")
STATES: dict[str, EndpointState] = {"key": "key_refused", "refused": "refused", "malformed": "refused"}


def settings_without(names: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a probe without those that the model refuses.

    >>> settings_without(["seed", "max_tokens"])
    {'temperature': 0, 'max_completion_tokens': 1024}
    """
    found = {name: value for name, value in _SETTINGS.items() if name not in names}
    # A reasoning model's limit counts its reasoning too.
    return {**found, "max_completion_tokens": 16 * MAX_TOKENS} if "max_tokens" in names else found


async def probe(
    connection: Connection, tell: Callable[[int], None] = lambda _done: None, wait_s: float | None = None
) -> Probe:
    """Return the answers to all probes, within the shared limits. ``tell`` gets the number of those that are done.

    Raises CallFailed, also for embeddings that cannot be compared, and Conflict after ``wait_s`` for a turn.
    """
    embeds = connection.endpoint.task == "embeddings"
    without: list[str] = [*_SETTINGS] if embeds else []
    settings: dict[str, Any] = {} if embeds else settings_without([])
    texts, took = [], []
    answer = Answer(text="")
    for number, prompt in enumerate(PROMPTS, start=1):
        while True:
            asked = [{"role": "user", "content": prompt}]
            try:
                async with connection.turn(asked, settings, wait_s):
                    began = time.monotonic()
                    answer = await connection.ask(asked, settings)
            except CallFailed as failed:
                name = _refused(failed, settings)
                if name is None:
                    raise
                without.append(name)
                settings = settings_without(without)
                continue
            break
        took.append(time.monotonic() - began)
        texts.append(answer.text)
        tell(number)
    if embeds:
        try:
            texts, without = _described(texts), []
        except ValueError as error:
            raise CallFailed("malformed", f"The embeddings cannot be compared: {error}.") from error
    answers = [ProbeAnswer(prompt=prompt, text=text) for prompt, text in zip(PROMPTS, texts, strict=True)]
    return Probe(
        at=time.time(), model=answer.model, fingerprint=answer.fingerprint, answers=answers, without=without,
        latency_ms=round(1000 * sorted(took)[len(took) // 2], 1), usage_known=answer.usage.known,
    )  # fmt: skip


def _described(texts: Sequence[str]) -> list[str]:
    """Return the sizes of embeddings, and the cosines of each with the others, which rounding makes comparable."""
    vectors = [from_text(each) for each in texts]
    found: list[list[float]] = [[] for _ in vectors]
    for one, other in itertools.permutations(range(len(vectors)), 2):
        found[one].append(cosine(vectors[one], vectors[other]))
    return [
        f"{len(vector)} numbers; cosines {', '.join(f'{each:.2f}' for each in cosines)}"
        for vector, cosines in zip(vectors, found, strict=True)
    ]


def _refused(failed: CallFailed, settings: Mapping[str, Any]) -> str | None:
    """Return the setting that an endpoint names when it refuses a call; None for any other failure."""
    if failed.kind != "refused":
        return None
    return next((name for name in _REFUSABLE if name in settings and name in failed.message), None)


def differences(first: Probe, now: Probe) -> list[str]:
    """Return what differs between two probes of an endpoint, as sentences; empty where it is the same model.

    >>> old, new = Probe(at=0, model="a-1"), Probe(at=1, model="a-2")
    >>> differences(old, new)
    ['The endpoint returns the model a-2; it was a-1.']
    """
    found = []
    if first.model != now.model:
        found.append(
            f"The endpoint returns the model {now.model or '(no name)'}; it was {first.model or '(no name)'}."
        )
    if first.fingerprint != now.fingerprint:
        was, new = first.fingerprint or "(none)", now.fingerprint or "(none)"
        found.append(f"The fingerprint is {new}; it was {was}.")
    before = {each.prompt: each.text for each in first.answers}
    other = [each for each in now.answers if before.get(each.prompt, each.text) != each.text]
    found += [
        f"“{each.prompt}” is answered with “{_short(each.text)}”; it was “{_short(before[each.prompt])}”."
        for each in other
    ]
    return found


def changed(first: Probe, now: Probe) -> bool:
    """Return whether another model answers: its name or fingerprint differs, or most of the answers do.

    One other answer alone is no other model: many servers answer differently at temperature 0.
    """
    if (first.model, first.fingerprint) != (now.model, now.fingerprint):
        return True
    before = {each.prompt: each.text for each in first.answers}
    same: Sequence[bool] = [before[each.prompt] == each.text for each in now.answers if each.prompt in before]
    return bool(same) and sum(same) < len(same) / 2


def _short(text: str, most: int = 60) -> str:
    words = " ".join(text.split())
    return words if len(words) <= most else words[: most - 1] + "…"
