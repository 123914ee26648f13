"""Read which GPUs of a partition are free: one look at a cluster serves all of its targets."""

from __future__ import annotations

import re
import time
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from ..base import Capacity, GpuKind

if TYPE_CHECKING:
    from .config import SlurmConfig
    from .login import Login

#: Seconds at least between two looks. A look costs Slurm at most this part of the time.
_EVERY_S, _SHARE = 15.0, 0.05
#: What follows the states of nodes in the same output: the partition of each waiting job, of all users.
_THEN = "-- waiting"
#: Widths, because sinfo cuts a field at 20 characters otherwise.
LINE = (
    "nodes=$(sinfo -h -N -O 'Partition:128,StateLong:32,Gres:512,GresUsed:512') && "
    f"echo \"$nodes\" | tr -s ' ' && echo '{_THEN}' && squeue -h -t PD -o %P"
)
#: Nodes that run jobs, or would. `~` is a node that Slurm powers up when it is needed.
_USABLE = frozenset({"idle", "mixed", "allocated", "completing", "planned"})
_GRES = re.compile(r"gpu(?::([^:,()]+))?:(\d+)(?:\([^)]*\))?(?=,|$)")


class Node(msgspec.Struct, frozen=True):
    """A node of a partition: its GPUs by kind, as (held by jobs, all)."""

    partition: str
    is_default: bool
    gpus: dict[str, tuple[int, int]]


class Look(msgspec.Struct, frozen=True):
    """The usable nodes of a cluster, once for each of their partitions, and the partition of each waiting job."""

    nodes: list[Node]
    waiting: list[str]


def read(printed: str) -> Look:
    """Return what :data:`LINE` printed."""
    states, _, waiting = printed.partition(_THEN)
    nodes = []
    for line in states.splitlines():
        words = line.split()
        if len(words) != 4 or words[1].rstrip("~#!%$@^+-") not in _USABLE:
            continue  # also a node that does not answer: its state ends with `*`
        held = _counts(words[3])
        gpus = {kind: (held.get(kind, 0), count) for kind, count in _counts(words[2]).items()}
        nodes.append(Node(words[0].rstrip("*"), words[0].endswith("*"), gpus))
    return Look(nodes, waiting.split())


def capacity_of(look: Look, partitions: str) -> Capacity:
    """Return what the nodes of these partitions (names with commas; empty: the default one) have free."""
    wanted = (
        set(partitions.split(","))
        if partitions
        else {each.partition for each in look.nodes if each.is_default}
    )
    nodes = [each for each in look.nodes if each.partition in wanted]
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for node in nodes:
        for kind, (held, count) in node.gpus.items():
            found[kind].append((max(0, count - held), count))
    kinds = [
        GpuKind(
            kind=kind,
            free=sum(free for free, _ in counts),
            total=sum(count for _, count in counts),
            on_one_host=max(free for free, _ in counts),
        )
        for kind, counts in sorted(found.items())
    ]
    # A waiting job may name several partitions.
    waiting = sum(bool(wanted & set(each.split(","))) for each in look.waiting)
    return Capacity(gpus=kinds, waiting=waiting, source="sinfo")


def _counts(gres: str) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for kind, count in _GRES.findall(gres):
        found["" if kind == "(null)" else kind] += int(count)
    return found


class _Last(msgspec.Struct):
    at: float
    took_s: float
    look: Look


_last: weakref.WeakKeyDictionary[Login, _Last] = weakref.WeakKeyDictionary()


async def capacity(login: Login, config: SlurmConfig, *, connect: bool) -> Capacity:
    """Return what a target's partitions have free, at most 15 s old. Belongs to the logins' loop. Raises
    LinkError."""
    from .queue import checked

    last = _last.get(login)
    began = time.monotonic()
    if last is None or began - last.at > max(_EVERY_S, last.took_s / _SHARE):
        if not connect and not login.is_up:
            return Capacity(note="The login node is not connected.")
        login.begin()
        try:
            await login.reach(None)
            printed = checked(await login.run(LINE)).stdout
        finally:
            login.end()
        last = _last[login] = _Last(began, time.monotonic() - began, read(printed))
    return capacity_of(last.look, config.partition)
