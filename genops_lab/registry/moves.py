"""Move aliases of models and keep their history: who moved which alias from where to where, when, and why.

A move is written in four steps: the intent in the shared store, the alias in MLflow, the event's tag in MLflow, and the
event in the shared store. A process may end after any of them. :meth:`AliasMoves.reconcile` then makes history and
alias agree (:mod:`.agreement`). It never moves an alias: the user who began the move is no longer waiting for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import shlex
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.core.principals import PRINCIPAL, this_user
from genops_lab.core.services import Service
from genops_lab.experiments.backends.client import SLOW

from .agreement import UNWRITTEN, WITHOUT, WRITTEN, Changes, Kept, Known, after, compare, key_of, value_of
from .backends.mlflow_aliases import AliasReading, MlflowAliases
from .ledger import AliasLedger
from .models import AliasMove

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.core.paging import Page
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import SharedStore
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection

    from .models import MovesQuery

#: Bounds of what a move says, so that its tag fits into 5,000 characters.
MAX_REASON, MAX_EVIDENCE, MAX_WHO = 1000, 2000, 200
#: Time in seconds after which a move of a process that cannot be asked counts as ended.
CLAIM_S = 60.0
#: Events of a model that keep their tags in MLflow, which sends all tags with each model. The store keeps all events.
TAGS_KEPT = 100
#: Shortest time between two notes that a model was seen, in seconds.
_SEEN_EVERY_S = 10.0

log = logging.getLogger("genops_lab")


class Agreed(NamedTuple):
    """A model's aliases as MLflow has them, and what the store knows of them."""

    reading: AliasReading
    known: Known

    def version(self, alias: str) -> str:
        """Return the version that an alias names; empty for none."""
        return self.reading.aliases.get(alias, "")


class AliasMoves(Service):
    """Moves aliases and keeps their history, for the services of the registry."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        shared: SharedStore,
        work: WorkService,
        events: EventBus,
    ) -> None:
        self._mlflow = mlflow
        self._ledger = AliasLedger(shared, mlflow.shown_uri)
        self._shared = shared
        self._work = work
        self._events = events
        place = f"{socket.gethostname()}\n{settings.data_dir}"
        self._place = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._under_way: set[str] = set()
        #: Moves whose answer from MLflow did not come in time: MLflow may still make them.
        self._unanswered: set[str] = set()
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        events.listen(self._changed)

    async def supervise(self) -> None:
        """Settle the moves that ended processes of this user left half-done."""
        if self._shared.path is not None and not self._shared.path.exists():
            return
        try:
            names = await asyncio.to_thread(self._ledger.under_way, self._place)
        except GenOpsError as error:  # a move or a look at the history settles them later
            log.warning("Cannot look for unfinished moves of aliases: %s", error.message)
            return
        for name in names:
            try:
                await self.reconcile(name)
            except GenOpsError as error:
                log.warning("Cannot settle the moves of the aliases of %r: %s", name, error.message)

    async def close(self) -> None:
        """End the look at the aliases."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def move(
        self,
        name: str,
        alias: str,
        version: str,
        *,
        reason: str = "",
        evidence: dict[str, Any] | None = None,
        expected: str | None = None,
    ) -> None:
        """Point an alias at an existing version, or remove it if ``version`` is empty. Does nothing if it is so.

        Raises Conflict if the alias does not name the version ``expected``, or if another mover was first.
        """
        reason, evidence = checked(reason, evidence or {})
        agreed = await self.reconcile(name)
        made, now = agreed.reading.made, agreed.version(alias)
        if expected is not None and expected != now:
            raise _elsewhere(agreed, alias, expected)
        if now == version:
            return
        last = max(
            (each.move for each in agreed.known.events.values()), key=lambda move: move.at, default=None
        )
        moment = after(last, time.time())
        move = AliasMove(
            id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(moment))}-{secrets.token_hex(8)}",
            model=name,
            alias=alias,
            from_version=now,
            to_version=version,
            kind="lab",
            at=moment,
            who=(PRINCIPAL.get() or this_user()).name[:MAX_WHO],
            reason=reason,
            evidence=evidence,
        )
        holder = await asyncio.to_thread(self._holder)
        self._under_way.add(move.id)
        try:
            while not await self._claim(agreed, move, holder):
                agreed = await self.reconcile(name)
                if agreed.version(alias) != now:
                    raise _elsewhere(agreed, alias, now)
            await self._carry_out(made, move)
        finally:
            self._under_way.discard(move.id)
        self._events.emit("model", name)

    async def previous(self, name: str, alias: str, expected: str | None) -> tuple[str, str]:
        """Return the version that an alias named before its last move, and the one that it names now.

        Raises NotFound without a history, and Conflict if the earlier version is unknown or was deleted.
        """
        agreed = await self.reconcile(name)
        now, last = agreed.version(alias), agreed.known.last(alias)
        if expected is not None and expected != now:
            raise _elsewhere(agreed, alias, expected)
        if last is None:
            raise NotFound(
                f"The model {name!r} never had an alias {alias!r}.", hint=f"See its aliases: {_history(name)}"
            )
        earlier = last.from_version
        if earlier is None:
            raise Conflict(
                f"GenOps Lab does not know where the alias {alias!r} pointed before version {now}.",
                hint="Choose a version, and point the alias at it: "
                f"genops models alias {shlex.quote(name)} {shlex.quote(alias)} VERSION",
                code="unknown_previous",
            )
        if earlier and not await self._mlflow.call(MlflowAliases.has_version, name, earlier):
            raise Conflict(
                f"The alias {alias!r} cannot go back to version {earlier} of {name!r}: this version was deleted.",
                hint=f"Choose another version: genops models show {shlex.quote(name)}",
                code="version_deleted",
            )
        return earlier, now

    async def page(self, name: str, query: MovesQuery) -> Page[AliasMove]:
        """Return a page of the history of a model's aliases, newest first, after :meth:`reconcile`."""
        agreed = await self.reconcile(name)
        return await asyncio.to_thread(self._ledger.page, name, agreed.reading.made, query)

    async def reconcile(self, name: str) -> Agreed:
        """Make the history of a model agree with MLflow, and return both.

        Raises NotFound, and Unavailable if MLflow or the shared store does not answer. A store that cannot be written
        is logged: the next call tries again.
        """
        known = await asyncio.to_thread(self._ledger.known, name)
        asked = round(time.time(), 3)
        reading = await self._mlflow.call(MlflowAliases.read, name)
        found = known.get(reading.made, Known())
        changes = await asyncio.to_thread(compare, found, reading, time.time(), self._has_ended)
        try:
            if changes or asked - (found.seen_at or 0) > _SEEN_EVERY_S:
                await asyncio.to_thread(self._ledger.apply, name, reading.made, changes, asked)
            if changes:
                found = (await asyncio.to_thread(self._ledger.known, name)).get(reading.made, Known())
                self._events.emit("model", name)
            await self._keep_tags(reading, found, changes)
        except Unavailable as error:
            log.warning("Cannot write the history of the aliases of %r: %s", name, error.message)
        return Agreed(reading, found)

    async def _claim(self, agreed: Agreed, move: AliasMove, holder: str) -> bool:
        """Claim the move in the shared store. Return False if the alias has another head by now. Raises Conflict."""
        head = agreed.known.heads.get(move.alias)
        if head is not None and head.moving:
            raise _under_way(agreed.known.events[head.moving].move)
        made = agreed.reading.made
        return await asyncio.to_thread(self._ledger.claim, move.model, made, head, move, holder)

    async def _carry_out(self, made: int, move: AliasMove) -> None:
        """Move the alias of a claimed move, and tell it."""
        try:
            await self._mlflow.call(MlflowAliases.point, move.model, move.alias, move.to_version)
        except GenOpsError as error:
            if not await self._happened(move, error):
                raise
            return
        tagged = await self._tag(move)
        try:
            if not await asyncio.to_thread(self._ledger.finish, move.model, made, move, tagged):
                log.warning("The move %s was settled by another GenOps Lab.", move.id)
        except Unavailable as error:
            # The alias has moved and MLflow may tell it: the next look at the history writes the event.
            log.warning("The move %s is not in the history yet: %s", move.id, error.message)
        reading = await self._mlflow.call(MlflowAliases.read, move.model)
        if reading.aliases.get(move.alias, "") != move.to_version:
            raise _elsewhere(await self.reconcile(move.model), move.alias, move.to_version)

    async def _happened(self, move: AliasMove, error: GenOpsError) -> bool:
        """Return whether a move whose answer was an error was made, after its history agrees with MLflow."""
        self._under_way.discard(move.id)
        if error.code == SLOW:
            self._unanswered.add(move.id)
        try:
            agreed = await self.reconcile(move.model)
        except GenOpsError:
            agreed = None
        kept = agreed.known.events.get(move.id) if agreed is not None else None
        if kept is not None and not kept.moving:
            return True
        if agreed is None or kept is not None:
            raise Unavailable(
                error.message,
                hint=f"When MLflow answers, look whether the alias has moved: {_history(move.model)}",
            ) from error
        return False

    async def _tag(self, move: AliasMove) -> int:
        """Write the tag of an event. Return what became of it: an MLflow that refuses tags is not asked again."""
        try:
            await self._mlflow.call(MlflowAliases.tag, move.model, key_of(move), value_of(move))
        except Unavailable as error:
            log.warning("%s", error.message)
            return UNWRITTEN
        except GenOpsError as error:
            log.warning("MLflow keeps no tag of the move %s: %s", move.id, error.message)
            return WITHOUT
        return WRITTEN

    async def _keep_tags(self, reading: AliasReading, known: Known, changes: Changes) -> None:
        """Write missing tags, delete those of events that another one explains, and the oldest ones."""
        name, made = reading.name, reading.made
        kept = [each for each in known.events.values() if not each.moving]
        for each in kept:
            if each.tagged == UNWRITTEN:
                tagged = await self._tag(each.move)
                if tagged == UNWRITTEN:
                    return
                await asyncio.to_thread(self._ledger.written, name, made, each.move.id, tagged)
        unwanted = [each.move for each in changes.replaced]
        if len(reading.tags) > TAGS_KEPT:
            oldest = sorted((each.move for each in kept), key=lambda move: (move.at, move.id))
            unwanted += oldest[: max(len(oldest) - TAGS_KEPT, 0)]
        keys = [key for key in map(key_of, unwanted) if key in reading.tags]
        if keys:
            await self._mlflow.call(MlflowAliases.untag, name, keys)

    def _holder(self) -> str:
        return f"{self._place}/{self._work.holder()}"

    def _has_ended(self, kept: Kept) -> bool:
        """Return whether the process of a move under way is gone. Blocks."""
        if kept.move.id in self._under_way:
            return False
        place, _, holder = kept.holder.partition("/")
        if kept.move.id in self._unanswered:
            place = ""
        if place == self._place and (holder == self._work.holder() or self._work.is_gone(holder)):
            return True
        return time.time() - kept.move.at > CLAIM_S

    def _changed(self, kind: str, id: str, _revision: int) -> None:
        """Look at all aliases when something outside changed models."""
        if kind != "model" or id:
            return
        self._look_again = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while self._look_again:
            self._look_again = False
            try:
                await self._reconcile_all()
            except GenOpsError as error:
                log.warning("Cannot look for aliases that were moved outside: %s", error.message)

    async def _reconcile_all(self) -> None:
        """Reconcile the models that have a history and whose aliases differ from it."""
        asked = round(time.time(), 3)
        readings = await self._mlflow.call(MlflowAliases.read_all)
        models = {(each.name, each.made): each for each in readings}
        seen = await asyncio.to_thread(self._ledger.seen, models)
        same = {model for model, versions in seen.items() if models[model].aliases == versions}
        await asyncio.to_thread(self._ledger.saw, [name for name, _made in same], asked)
        for name, _made in seen.keys() - same:
            await self.reconcile(name)


def checked(reason: str, evidence: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the reason without control characters, and the evidence. Raises InvalidRequest if one is too long."""
    reason = "".join(each if each.isprintable() or each == "\n" else " " for each in reason).strip()
    if len(reason) > MAX_REASON:
        raise InvalidRequest(
            f"The reason has {len(reason):,} characters.", hint=f"Use at most {MAX_REASON:,} characters."
        )
    size = len(msgspec.json.encode(evidence).decode())
    if size > MAX_EVIDENCE:
        raise InvalidRequest(
            f"The evidence has {size:,} characters of JSON.",
            hint=f"Use at most {MAX_EVIDENCE:,} characters: ids and references, not reports.",
        )
    return reason, evidence


def _history(name: str) -> str:
    return f"genops models alias-history {shlex.quote(name)}"


def _named(version: str) -> str:
    return f"version {version}" if version else "no version"


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def _how_moved(move: AliasMove) -> str:
    if move.kind == "lab":
        return f" {move.who} moved it at {_moment(move.at)}{f' ({move.reason})' if move.reason else ''}."
    if move.kind == "outside" and move.since is not None:
        begin, end = _moment(move.since), _moment(move.at)
        return f" It was moved outside GenOps Lab between {begin} and {end}."
    return ""


def _elsewhere(agreed: Agreed, alias: str, expected: str) -> Conflict:
    """Return the error for an alias that does not name the expected version: who moved it where, when."""
    head = agreed.known.heads.get(alias)
    if head is not None and head.moving:
        return _under_way(agreed.known.events[head.moving].move)
    now, last = agreed.version(alias), agreed.known.last(alias)
    name = agreed.reading.name
    return Conflict(
        f"The alias {alias!r} of {name!r} names {_named(now)}, not {_named(expected)}."
        f"{_how_moved(last) if last is not None else ''}",
        hint=f"Look at the history, then decide again: {_history(name)}",
        code="alias_moved",
        details={"version": now, "move": msgspec.to_builtins(last)},
    )


def _under_way(move: AliasMove) -> Conflict:
    return Conflict(
        f"{move.who} is moving the alias {move.alias!r} of {move.model!r} to {_named(move.to_version)} "
        f"since {_moment(move.at)}.",
        hint=f"Wait up to {CLAIM_S:.0f} s, then look at the history: {_history(move.model)}",
        code="alias_moved",
        details={"move": msgspec.to_builtins(move)},
    )
