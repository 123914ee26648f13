"""Choose the GPU and target that fit a memory requirement."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genops_lab.runtime.money import money_text

from .cluster_fit import ClusterOffer, offers, unknown
from .models import BestFit, BestFitQuery, HostGpu, HostReading, Target
from .names import kernel_name

#: Below this utilisation a GPU counts as idle, in percent.
IDLE_PERCENT = 5.0
_MIG_USED_SHARE = 0.05
#: Variables with which :func:`best_fit` limits the GPUs that a kernel sees.
GPU_VARIABLES = frozenset({"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES"})


@dataclass(frozen=True)
class Place:
    """A target with a recent reading."""

    target: str
    reading: HostReading
    price_per_hour: float | None = None


@dataclass(frozen=True)
class _Offer:
    place: Place
    gpu: HostGpu
    free_bytes: int
    total_bytes: int
    busy: int  # 0 idle, 1 up to 10 %, 2 up to 20 % ...
    slice_uuid: str = ""
    label: str = ""

    @property
    def rank(self) -> tuple[int, float, int, int]:
        """Lower is better: least busy, then cheapest, then smallest, then most free memory."""
        return (self.busy, self.place.price_per_hour or 0.0, self.total_bytes, -self.free_bytes)


#: Maximum age of a reading, in seconds. An older one does not show what is free now.
_TOO_OLD_S = 30.0


def fit_of(targets: Sequence[Target], need: BestFitQuery) -> BestFit:
    """Return the best fit among the listed targets that have a reading of the last 30 s, and among clusters.

    A cluster where others wait comes after an idle GPU elsewhere. A queue is chosen only where nothing that
    fits is free now.
    """
    known = [
        target
        for target in targets
        if target.reading is not None
        and (target.is_this_machine or target.state == "up")
        and (target.reading_age_s or 0.0) <= _TOO_OLD_S
    ]
    others = [target.name for target in targets if target not in known and not target.allocates]
    places = [Place(each.name, each.reading, each.price_per_hour) for each in known if each.reading]
    note = f"Ignored because they are not connected: {', '.join(others)}." if others else ""
    if silent := unknown(targets):
        note = f"{note} {silent}".strip()
    chosen = _chosen(places, need.memory_bytes, need.count)
    cluster = next(iter(offers(targets, need)), None)
    if cluster is not None and (chosen is None or (cluster.now and cluster.rank < _rank(chosen))):
        return _of_cluster(cluster, note)
    return best_fit(places, need.memory_bytes, need.count, note)


def _of_cluster(offer: ClusterOffer, note: str) -> BestFit:
    return BestFit(
        target=offer.target.name,
        kernel_name=offer.kernel_name,
        preset=offer.preset,
        resources=offer.resources,
        reason=_join(offer.words(), note),
    )


def best_fit(places: Iterable[Place], memory_bytes: int, count: int = 1, note: str = "") -> BestFit:
    """Return the best place for ``count`` GPUs with ``memory_bytes`` free on each.

    Only GPUs with enough free memory qualify. The least busy is taken first, then the cheapest (a target
    without a price costs nothing), then the smallest, so that larger GPUs stay free.

    Several GPUs belong to one target, and none is a MIG slice: CUDA uses one slice per process. ``note`` is
    appended to the reason. Without a fit, ``target`` is empty and the reason names the largest free GPU
    memory.
    """
    places = list(places)
    chosen = _chosen(places, memory_bytes, count)
    considered = _all_offers(places, count)
    if chosen is None:
        return BestFit(reason=_join(_why_not(considered, memory_bytes, count), note))
    chosen = sorted(chosen, key=lambda offer: offer.gpu.index)
    visible = ",".join(offer.slice_uuid or str(offer.gpu.index) for offer in chosen)
    target = chosen[0].place.target
    return BestFit(
        target=target,
        kernel_name=kernel_name(target),
        gpus=[offer.gpu.index for offer in chosen],
        cuda_visible_devices="" if chosen[0].gpu.vendor == "apple" else visible,
        environment=_environment(chosen, visible),
        reason=_join(_why(chosen, len(considered)), note),
    )


def _all_offers(places: Iterable[Place], count: int) -> list[_Offer]:
    return [offer for place in places for offer in _offers(place, whole=count > 1)]


def _chosen(places: Iterable[Place], memory_bytes: int, count: int) -> list[_Offer] | None:
    """Return the best GPUs of one target; None where nothing fits."""
    fitting: dict[tuple[str, str], list[_Offer]] = defaultdict(list)
    for offer in _all_offers(places, count):
        if offer.free_bytes >= memory_bytes:
            fitting[offer.place.target, offer.gpu.vendor].append(offer)
    chosen: list[_Offer] | None = None
    for group in fitting.values():
        if len(group) >= count:
            best = sorted(group, key=lambda offer: offer.rank)[:count]
            if chosen is None or _rank(best) < _rank(chosen):
                chosen = best
    return chosen


def _rank(offers: list[_Offer]) -> tuple[int, float, int, int]:
    return max(offer.rank for offer in offers)


def _offers(place: Place, *, whole: bool) -> Iterable[_Offer]:
    for gpu in place.reading.gpus:
        if gpu.mig:
            if whole:
                continue
            for one in gpu.mig:
                if one.uuid and one.memory_total_bytes is not None and one.memory_used_bytes is not None:
                    used = one.memory_used_bytes > _MIG_USED_SHARE * one.memory_total_bytes
                    yield _Offer(
                        place=place,
                        gpu=gpu,
                        free_bytes=one.memory_total_bytes - one.memory_used_bytes,
                        total_bytes=one.memory_total_bytes,
                        busy=int(used),
                        slice_uuid=one.uuid,
                        label=f"slice {one.profile or one.uuid} of GPU {gpu.index} ({gpu.name})",
                    )
        else:
            total, free = gpu.memory_total_bytes, _free(gpu, place.reading)
            if total is not None and free is not None:
                yield _Offer(
                    place=place,
                    gpu=gpu,
                    free_bytes=free,
                    total_bytes=total,
                    busy=_busy(gpu.utilization_percent),
                    label=f"GPU {gpu.index} ({gpu.name})",
                )


def _free(gpu: HostGpu, reading: HostReading) -> int | None:
    if gpu.memory_total_bytes is None:
        return None
    if gpu.memory_used_bytes is not None:
        return gpu.memory_total_bytes - gpu.memory_used_bytes
    if gpu.vendor == "apple" and reading.memory_used_bytes is not None:  # the machine's memory
        return gpu.memory_total_bytes - reading.memory_used_bytes
    return None


def _busy(percent: float | None) -> int:
    return 0 if percent is None or percent < IDLE_PERCENT else max(1, math.ceil(percent / 10))


def _environment(chosen: list[_Offer], visible: str) -> dict[str, str]:
    """Return the variables for the kernel. Without CUDA_DEVICE_ORDER, CUDA counts the fastest GPU first, not
    in the driver's order."""
    vendor = chosen[0].gpu.vendor
    if vendor == "nvidia":
        order = {} if chosen[0].slice_uuid else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return {"CUDA_VISIBLE_DEVICES": visible, **order}
    return {"HIP_VISIBLE_DEVICES": visible} if vendor == "amd" else {}


def _why(chosen: list[_Offer], considered: int) -> str:
    parts = []
    for offer in chosen:
        if offer.gpu.utilization_percent is None:
            use = "in use" if offer.busy else "not in use" if offer.slice_uuid else "utilisation unknown"
        else:
            use = (
                f"{offer.gpu.utilization_percent:.0f} % busy"
                if offer.busy
                else f"idle ({offer.gpu.utilization_percent:.0f} %)"
            )
        parts.append(f"{offer.label}: {_gib(offer.free_bytes)} free, {use}")
    price = chosen[0].place.price_per_hour
    cost = "" if price is None else f" Price: {money_text(price, 'USD', 'given')} an hour."
    return f"{chosen[0].place.target}: {'; '.join(parts)}; best of {considered}.{cost}"


def _why_not(offers: list[_Offer], memory_bytes: int, count: int) -> str:
    wanted = "a GPU" if count == 1 else f"{count} GPUs"
    if not offers:
        return f"No connected target reports the memory of {wanted}."
    most = max(offers, key=lambda offer: offer.free_bytes)
    found = f"the most is {_gib(most.free_bytes)} on {most.place.target}, {most.label}"
    if count > 1 and most.free_bytes >= memory_bytes:
        return f"No target has {count} GPUs with {_gib(memory_bytes)} free on each."
    return f"No target has {wanted} with {_gib(memory_bytes)} free: {found}."


def _join(reason: str, note: str) -> str:
    return f"{reason} {note}" if note else reason


def _gib(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB"
