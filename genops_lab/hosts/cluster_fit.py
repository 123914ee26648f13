"""Find the cluster, and the preset or resources there, that fit a need for GPU memory."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from genops_lab.runtime.money import money_text

from .models import BestFitQuery, Target
from .providers.base import Capacity, GpuKind, Resources

_GIB = 1024**3
#: Sizes in GB by what clusters call a kind of GPU; the smallest model of a kind counts. The first match counts.
_SIZES = (
    ("gb300|b300", 279), ("gb200|b200", 180), ("gh200", 96), ("h200", 141), ("h100|h800", 80), ("h20", 96),
    ("a100|a800", 40), ("l40s?", 48), ("rtx.?6000.?ada", 48), ("a6000|rtx.?a6000", 48), ("a5000", 24),
    ("a40", 48), ("a30", 24), ("a10g?", 24), ("l4", 24), ("v100", 16), ("p100", 16), ("t4", 16),
    ("mi355x?|mi350x?", 288), ("mi325x?", 256), ("mi300x", 192), ("mi250x?", 64), ("mi210", 64), ("mi100", 32),
    ("rtx.?5090", 32), ("rtx.?[34]090", 24),
)  # fmt: skip
#: A kind's memory as tools show it is up to 8 % below its name's GB.
_SHOWN = 0.92


@dataclass(frozen=True)
class ClusterOffer:
    """A kind of GPU of a target that fits. ``waiting``: how many wait there; None: not known. ``now``: whether
    it is free now."""

    target: Target
    kind: GpuKind
    memory_bytes: int
    count: int
    now: bool
    waiting: int | None
    preset: str
    kernel_name: str
    resources: Resources
    price_per_hour: float | None

    @property
    def rank(self) -> tuple[int, float, int, int]:
        """Lower is better, comparable with the GPUs of other hosts: nobody waits, then cheapest, then
        smallest."""
        return (0 if self.waiting == 0 else 1, self.price_per_hour or 0.0, self.memory_bytes, 0)

    def words(self) -> str:
        """Return why, as a sentence."""
        name = self.kind.kind or "GPUs"
        free = (
            f"{self.kind.free} of {self.kind.total}" if self.kind.total is not None else f"{self.kind.free}"
        )
        place = f"{self.target.name}, preset {self.preset}" if self.preset else self.target.name
        price = (
            ""
            if self.price_per_hour is None
            else f" Price: {money_text(self.price_per_hour, 'USD', 'given')} an hour."
        )
        queue = (
            "how many wait is not known"
            if self.waiting is None
            else "nobody waits"
            if not self.waiting
            else f"{self.waiting} wait{'s' if self.waiting == 1 else ''}"
        )
        now = "" if self.now else "Nothing that fits is free now. The shortest queue: "
        return f"{now}{place}: {free} {name} free, {queue}.{price}"


def memory_of(kind: str) -> int | None:
    """Return the memory in bytes of a kind of GPU, as a cluster names it; None where the name does not say it.

    >>> memory_of("NVIDIA-H100-80GB-HBM3") == int(80 * 0.92 * 1024**3)
    True
    """
    text = kind.lower()
    said = re.search(r"(\d+)\s?gb\b|(\d+)gib?\b", text)
    size = int(said.group(1) or said.group(2)) if said else None
    if size is None:
        size = next(
            (each for name, each in _SIZES if re.search(rf"(?<![a-z0-9])({name})(?![0-9])", text)), None
        )
    return None if size is None else int(size * _SHOWN * _GIB)


def offers(targets: Iterable[Target], need: BestFitQuery) -> list[ClusterOffer]:
    """Return the kinds of GPU that fit a need, best first: those that are free now, then by queue."""
    found = [
        offer
        for target in targets
        if target.allocates and target.capacity is not None
        for kind in target.capacity.gpus or []
        if (offer := _offer(target, target.capacity, kind, need)) is not None
    ]
    return sorted(found, key=lambda each: (not each.now, each.rank if each.now else _queue(each)))


def unknown(targets: Iterable[Target]) -> str:
    """Return what is not known of clusters, as sentences; empty where all is known."""
    silent, nameless = [], []
    for each in targets:
        if each.allocates and (each.capacity is None or each.capacity.gpus is None):
            silent.append(each.name)
        elif each.allocates and each.capacity is not None:
            kinds = [memory_of(_name(each, gpu)) for gpu in each.capacity.gpus or []]
            if kinds and not any(kinds):
                nameless.append(each.name)
    said = [f"Free GPUs are not known on: {', '.join(silent)}."] if silent else []
    said += [f"{each} does not say how much memory its GPUs have." for each in nameless]
    return " ".join(said)


def _name(target: Target, gpu: GpuKind) -> str:
    return gpu.kind or str(target.config.get("gpu_type") or "")


def _queue(offer: ClusterOffer) -> tuple[int, float, int, int]:
    return (10**9 if offer.waiting is None else offer.waiting, *offer.rank[1:3], 0)


def _offer(target: Target, capacity: Capacity, kind: GpuKind, need: BestFitQuery) -> ClusterOffer | None:
    usual_type = str(target.config.get("gpu_type") or "")
    memory = memory_of(_name(target, kind))
    if memory is None or memory < need.memory_bytes or (kind.total is not None and kind.total < need.count):
        return None
    most = kind.on_one_host if kind.on_one_host is not None else kind.free
    now = most is not None and most >= need.count
    if not now and kind.total is None:
        return None
    preset = next(
        (
            each
            for each in target.presets
            if each.resources.gpus == need.count and _is(each.resources.gpu_type or usual_type, kind.kind)
        ),
        None,
    )
    own = None if preset is None else preset.price_per_hour
    return ClusterOffer(
        target=target,
        kind=kind,
        memory_bytes=memory,
        count=need.count,
        now=now,
        waiting=capacity.waiting,
        preset="" if preset is None else preset.name,
        kernel_name=target.kernel_name if preset is None else preset.kernel_name,
        resources=Resources(gpus=need.count, gpu_type=kind.kind or None) if preset is None else Resources(),
        price_per_hour=target.price_per_hour if own is None else own,
    )


def _is(asked: str, kind: str) -> bool:
    """Return whether a preset's kind of GPU is this one; a cluster that names no kinds has one."""
    return not kind or asked.lower() == kind.lower()
