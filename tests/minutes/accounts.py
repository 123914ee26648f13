"""Whose CPU it was: the seconds of all processes of a run, added up by owner (a worker, a shared server).

An owner's sum is what its living processes show (their own seconds and those of children that they waited for),
and what went with processes for which nobody of the run waited. It only grows, so the cost of a file is the sum's
growth between the file's start and end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from .processes import Key, Seen, look, mark_of


class Accounts:
    """The CPU seconds of one run. ``main``: the pid of the process that leads it, the owner ``main``."""

    def __init__(
        self,
        main: int,
        run: str,
        *,
        look: Callable[[], dict[Key, Seen]] = look,
        mark_of: Callable[[int], str] = mark_of,
    ) -> None:
        self._main, self._run, self._look, self._mark_of = main, run, look, mark_of
        self._roots: dict[int, str] = {main: "main"}
        self._seen: dict[Key, Seen] = {}
        self._owners: dict[Key, str] = {}
        self._foreign: set[Key] = set()
        self._gone: defaultdict[str, float] = defaultdict(float)
        #: What the leading process learnt of orphans that it waited for: CPU seconds by pid.
        self.waited_for: dict[int, float] = {}
        self._orphans: dict[int, str] = {}

    def own(self, pid: int, owner: str) -> None:
        """Have a process and its descendants, those that run already too, counted for ``owner``."""
        if self._roots.get(pid) == owner:
            return
        self._roots[pid] = owner
        before = next((self._owners[key] for key in self._owners if key[0] == pid), None)
        family = {pid}
        for key in sorted(self._seen, key=lambda key: key[1]):
            in_family = key[0] in family or self._seen[key].parent in family
            if in_family and self._owners[key] == before:
                self._owners[key] = owner
                family.add(key[0])

    def note_orphans(self, pids: Iterable[int]) -> None:
        """Remember whose the orphans are that the leading process has now: the next look may come after their end."""
        for pid in pids:
            owner = self._marked(pid)
            if owner:
                self._orphans[pid] = owner

    def is_root(self, pid: int) -> bool:
        """Whether a process has an owner that was told: a worker, or what serves several files."""
        return pid in self._roots

    def update(self) -> None:
        """Look at all processes."""
        now = self._look()
        pids = {key[0]: key for key in now}
        for key in sorted(now.keys() - self._owners.keys() - self._foreign, key=lambda key: key[1]):
            owner = self._owner_of(now[key], pids)
            if owner is None:
                self._foreign.add(key)
            else:
                self._owners[key] = owner
        self._foreign &= now.keys()
        ended = [self._seen[key] for key in self._owners.keys() - now.keys()]
        orphans = {seen.pid for seen in ended if seen.pid in self.waited_for}
        for seen in ended:
            self._bury(seen, pids, orphans)
        for seen in ended:
            del self._owners[seen.key]
        for pid in self.waited_for.keys() & self._orphans.keys() - pids.keys():  # no look has seen them
            seconds = self.waited_for.pop(pid)
            self._gone[self._orphans.pop(pid)] += seconds
            self._gone[self._roots[self._main]] -= seconds
        self._seen = {key: now[key] for key in self._owners}

    def owners(self) -> set[str]:
        """Return who has used CPU."""
        return {*self._owners.values(), *self._gone}

    def spent(self, owner: str) -> float:
        """Return the CPU seconds of an owner up to the last :meth:`update`."""
        alive = (seen.cpu_s for key, seen in self._seen.items() if self._owners[key] == owner)
        return sum(alive) + self._gone[owner]

    def total(self) -> float:
        """Return the CPU seconds of the run up to the last :meth:`update`."""
        return sum(seen.cpu_s for seen in self._seen.values()) + sum(self._gone.values())

    def _owner_of(self, seen: Seen, pids: dict[int, Key]) -> str | None:
        if seen.pid in self._roots:
            return self._roots[seen.pid]
        parent = self._owners.get(pids.get(seen.parent, (0, 0.0)))
        if parent is None or seen.parent == self._main:  # an orphan, or somebody else's
            return self._marked(seen.pid) or self._orphans.get(seen.pid) or parent
        return parent

    def _marked(self, pid: int) -> str:
        run, _, rest = self._mark_of(pid).partition(":")
        return rest.partition(":")[0] if run == self._run else ""

    def _bury(self, seen: Seen, pids: dict[int, Key], orphans: set[int]) -> None:
        """Keep the seconds of a process that has ended, unless the one that waited for it shows them.

        ``orphans``: pids that the leading process waited for. Their seconds hold those of the children that they
        waited for.
        """
        owner = self._owners[seen.key]
        seconds = self.waited_for.pop(seen.pid, None)
        if seconds is None:
            ancestors = self._ended_ancestors(seen, pids)
            if any(old.pid in orphans for old in ancestors):
                return
            heir = pids.get((ancestors[-1] if ancestors else seen).parent)
            seconds = seen.cpu_s
        else:
            heir = pids.get(self._main)
        if heir is None or heir not in self._owners:
            self._gone[owner] += seconds
        elif self._owners[heir] != owner:
            self._gone[owner] += seconds
            self._gone[self._owners[heir]] -= seconds

    def _ended_ancestors(self, seen: Seen, pids: dict[int, Key]) -> list[Seen]:
        """The nearest first, up to one that lives or was not of this run."""
        before = {key[0]: old for key, old in self._seen.items()}
        ended: list[Seen] = []
        while (old := before.get((ended[-1] if ended else seen).parent)) and old.key != pids.get(old.pid):
            ended.append(old)
        return ended
