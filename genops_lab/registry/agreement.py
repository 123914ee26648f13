"""Compare the history of aliases with MLflow, and decide what makes the two agree. Nothing here reads or writes.

Two Labs that compare the same readings decide the same, with the same ids, so that each event is written once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .backends.mlflow_aliases import TAG, AliasReading
from .models import AliasMove, MoveKind

#: Most by which the clocks of two Labs differ, in seconds: an event that is so much older may still explain a change.
CLOCKS_S = 10.0
#: Most characters of a tag's key in MLflow, and of the alias in it.
_KEY, _ALIAS = 250, 170
#: Most by which an event may be ahead of this clock, in seconds: later ones would be ordered after it.
_AHEAD_S = 3600.0
#: Shortest time between two events of an alias, in seconds.
_APART_S = 0.001

WRITTEN, UNWRITTEN, WITHOUT = 1, 0, -1


@dataclass(frozen=True)
class Kept:
    """An event in the store. ``tagged``: MLflow has its tag (1), not yet (0), or never gets one (-1).

    ``moving`` events have not moved the alias yet, as far as the store knows; ``holder`` is their process.
    """

    move: AliasMove
    tagged: int = UNWRITTEN
    moving: bool = False
    holder: str = ""


@dataclass(frozen=True)
class Head:
    """The version that an alias last named, the id of the event that explains it, and that of a move under way."""

    alias: str
    version: str = ""
    last: str = ""
    moving: str = ""


@dataclass
class Known:
    """The store's content about a model. ``seen_at`` is when a Lab last saw the model; None: never."""

    heads: dict[str, Head] = field(default_factory=dict)
    events: dict[str, Kept] = field(default_factory=dict)
    seen_at: float | None = None

    def last(self, alias: str) -> AliasMove | None:
        """Return the event that explains where the alias is."""
        head = self.heads.get(alias)
        kept = self.events.get(head.last) if head else None
        return kept.move if kept else None


@dataclass(frozen=True)
class Step:
    """The change of one alias: it applies only while the store still has the head ``before`` (None: no head).

    ``add`` is written, ``finish`` has moved, ``drop`` has not moved and is deleted.
    """

    before: Head | None
    after: Head
    add: Kept | None = None
    finish: str = ""
    drop: str = ""


@dataclass
class Changes:
    """The writes after which the store agrees with MLflow."""

    learnt: list[Kept] = field(default_factory=list)
    replaced: list[Kept] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.learnt or self.replaced or self.steps)


class _TagValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The value of a tag. Versions are named as in MLflow, times are ms since 1970."""

    alias: str
    from_version: str | None
    to_version: str
    kind: MoveKind
    at: int
    since: int | None = None
    who: str = ""
    reason: str = ""
    evidence: dict[str, Any] = {}


def key_of(move: AliasMove) -> str:
    """Return the key of an event's tag, at most 250 characters.

    >>> move = AliasMove(id="x1", model="m", alias="prod", from_version="", to_version="1", kind="lab", at=0)
    >>> key_of(move)
    'genops.alias.prod.x1'
    """
    return f"{TAG}{move.alias[:_ALIAS]}.{move.id}"


def value_of(move: AliasMove) -> str:
    """Return the value of an event's tag: JSON, at most 5,000 characters within the bounds of ``moves.checked``."""
    content = _TagValue(
        alias=move.alias, from_version=move.from_version, to_version=move.to_version, kind=move.kind,
        at=round(move.at * 1000), since=None if move.since is None else round(move.since * 1000),
        who=move.who, reason=move.reason, evidence=move.evidence,
    )  # fmt: skip
    return msgspec.json.encode(content).decode()


def moves_in_tags(reading: AliasReading, at: float) -> list[AliasMove]:
    """Return the events of a model's tags at the time ``at``. Anybody may write tags: other tags are left out."""
    found = []
    for key, value in reading.tags.items():
        try:
            content = msgspec.json.decode(value, type=_TagValue)
        except msgspec.DecodeError:
            continue
        since = content.at if content.since is None else content.since
        texts = (content.alias, content.from_version or "", content.to_version, content.who, content.reason)
        id = key.rpartition(".")[2]
        if (
            0 < since <= content.at <= (at + _AHEAD_S) * 1000
            and content.kind != "found"
            and 0 < len(id) <= 64
            and not any("\0" in text for text in texts)  # which PostgreSQL does not take
        ):
            times = {"at": content.at / 1000, "since": None if content.since is None else since / 1000}
            found.append(AliasMove(id=id, model=reading.name, **(msgspec.structs.asdict(content) | times)))
    return found


def compare(known: Known, reading: AliasReading, at: float, has_ended: Callable[[Kept], bool]) -> Changes:
    """Return what makes the history agree with MLflow's aliases at the time ``at``.

    ``known`` was read before ``reading``. ``has_ended`` says whether the process of a move under way is gone.
    """
    learnt = [move for move in moves_in_tags(reading, at) if move.id not in known.events]
    changes = Changes(learnt=[Kept(move, WRITTEN) for move in learnt])
    explained = _explained(known.events.values(), learnt)
    changes.replaced = [known.events[id] for id in explained]
    for alias in sorted({*known.heads, *reading.aliases}):
        step = _step(known, reading, alias, learnt, explained, at, has_ended)
        if step is not None and (step.before != step.after or step.drop):
            changes.steps.append(step)
    return changes


def _step(
    known: Known,
    reading: AliasReading,
    alias: str,
    learnt: list[AliasMove],
    explained: Mapping[str, str],
    at: float,
    has_ended: Callable[[Kept], bool],
) -> Step | None:
    before, version = known.heads.get(alias), reading.aliases.get(alias, "")
    drop = ""
    if before is not None and before.moving:
        under_way = known.events.get(before.moving)
        if under_way is not None and under_way.move.to_version == version:
            return Step(before, Head(alias, version, before.moving), finish=before.moving)
        if under_way is not None and not has_ended(under_way):
            return None
        drop = before.moving
    stays = before.version == version if before is not None else not version
    last = known.events.get(before.last) if before is not None else None
    since = last.move.at if last is not None else 0.0
    # An event that another Lab wrote explains the change.
    late = 0.0 if stays else CLOCKS_S
    news = [
        move
        for move in learnt
        if (move.alias, move.to_version) == (alias, version) and move.at >= since - late
    ]
    if news:
        return Step(before, Head(alias, version, max(news, key=_order).id), drop=drop)
    if stays:
        if before is None:
            return None
        return Step(before, Head(alias, version, explained.get(before.last, before.last)), drop=drop)
    found = before is None and known.seen_at is None
    events = [each.move for each in known.events.values() if not each.moving] + learnt
    explained_moves = [move for move in events if move.alias == alias and move.kind != "found"]
    newest = max(explained_moves, key=_order, default=None)
    basis = "found" if found else newest.id if newest else ""
    move = AliasMove(
        id=_id(reading, alias, basis, version),
        model=reading.name,
        alias=alias,
        from_version=None if found else before.version if before is not None else "",
        to_version=version,
        kind="found" if found else "outside",
        at=after(newest, at),
        since=reading.made / 1000 if known.seen_at is None else round(known.seen_at, 3),
    )
    add = Kept(move, WITHOUT if found else UNWRITTEN)
    return Step(before, Head(alias, version, move.id), add=add, drop=drop)


def after(last: AliasMove | None, at: float) -> float:
    """Return ``at``, or a time after the last event if the clock of its Lab was ahead."""
    at = round(at, 3)
    return at if last is None else max(at, round(last.at + _APART_S, 3))


def _explained(kept: Iterable[Kept], news: list[AliasMove]) -> dict[str, str]:
    """Return events that are no outside moves, by the id of the event that another Lab wrote a moment later."""
    found: dict[str, str] = {}
    for each in kept:
        move = each.move
        if move.kind == "lab" or each.moving:
            continue
        for other in news:
            same = (other.alias, other.to_version) == (move.alias, move.to_version)
            begin, end = (move.since or 0.0) - CLOCKS_S, move.at + CLOCKS_S
            if same and other.kind == "lab" and begin <= other.at <= end:
                found[move.id] = other.id
    return found


def _order(move: AliasMove) -> tuple[float, str]:
    return move.at, move.id


def _id(reading: AliasReading, alias: str, basis: str, version: str) -> str:
    text = "\n".join([reading.name, str(reading.made), alias, basis, version])
    return f"{'found' if basis == 'found' else 'outside'}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
