"""Work out which GPUs are free from what the account may read: nodes, Kueue's quota, the namespace's quota. Pure.

An unknown number is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..base import Capacity, GpuKind

Object = Mapping[str, Any]
_ENDED = ("Succeeded", "Failed")


def capacity(
    resource: str,
    queue: str,
    *,
    quotas: Sequence[Object] | None,
    local_queue: Object | None,
    cluster_queue: Object | None,
    flavors: Mapping[str, str],
    nodes: Sequence[Object] | None,
    pods: Sequence[Object] | None,
) -> Capacity:
    """Return the free GPUs of a target from objects of the API; None: the account may not read them, or none exist.

    ``resource`` counts GPUs (nvidia.com/gpu). ``flavors`` has the type of GPU of each flavor of the queue that names
    one. ``nodes`` and ``pods`` are trimmed. A queue's quota decides where the
    target has a queue, else the nodes do. The namespace's quota is a bound of each.
    """
    left = _quota_left(resource, quotas or ())
    waiting = _pending(cluster_queue or local_queue)
    if cluster_queue is not None:
        counted = _of_queue(resource, cluster_queue)
        found, source = _by_type(counted, flavors), f"quota of queue {queue}"
        named = ", ".join(f"{name} {free} of {total}" for name, free, total in counted)
        note = f"Free by flavor: {named}. Quota of other queues that could be borrowed is not counted."
    elif queue:
        used = _reserved(resource, local_queue)
        found, source = None, ""
        note = f"The quota of queue {queue} cannot be read."
        note += f" Its pods use {used}." if used is not None else ""
    elif nodes is not None and pods is not None:
        found, source, note = _of_nodes(nodes, pods), "nodes of the cluster", ""
        waiting = sum(1 for each in pods if _waits(each))
    else:
        found, source, note = None, "", "The account may not list the nodes of the cluster."
    if found is None and left is not None:
        free, hard = left
        gpus = [GpuKind(free=free, total=hard)]
        note = f"{note} Whether nodes have these GPUs free is not known."
        return Capacity(gpus=gpus, waiting=waiting, source="quota of the namespace", note=note)
    if found is not None and left is not None:
        found = [_bounded(each, left[0]) for each in found]
        source = f"{source} and of the namespace" if cluster_queue else f"{source}, quota of the namespace"
    return Capacity(gpus=found, waiting=waiting, source=source, note=note)


def trimmed_node(node: Object, resource: str, kinds_by: str) -> dict[str, Any]:
    """Return what the sums need of a node."""
    status, spec = node.get("status") or {}, node.get("spec") or {}
    ready: Object = next((each for each in status.get("conditions") or [] if each.get("type") == "Ready"), {})
    return {
        "name": node["metadata"]["name"],
        "kind": (node["metadata"].get("labels") or {}).get(kinds_by, ""),
        "gpus": _count((status.get("allocatable") or {}).get(resource)),
        "usable": ready.get("status") == "True" and not spec.get("unschedulable"),
    }


def trimmed_pod(pod: Object, resource: str) -> dict[str, Any]:
    """Return what the sums need of a pod."""
    spec = pod.get("spec") or {}
    asked = sum(_requested(each, resource) for each in spec.get("containers") or [])
    before = max((_requested(each, resource) for each in spec.get("initContainers") or []), default=0)
    ended = (pod.get("status") or {}).get("phase") in _ENDED
    return {"node": spec.get("nodeName") or "", "gpus": 0 if ended else max(asked, before)}


def _requested(container: Object, resource: str) -> int:
    resources = container.get("resources") or {}
    return _count(
        (resources.get("requests") or {}).get(resource) or (resources.get("limits") or {}).get(resource)
    )


def _waits(pod: Object) -> bool:
    return bool(pod["gpus"]) and not pod["node"]


def _of_nodes(nodes: Sequence[Object], pods: Sequence[Object]) -> list[GpuKind]:
    used: dict[str, int] = {}
    for pod in pods:
        used[pod["node"]] = used.get(pod["node"], 0) + pod["gpus"]
    kinds: dict[str, list[tuple[int, int]]] = {}
    for node in nodes:
        if node["gpus"]:
            free = max(0, node["gpus"] - used.get(node["name"], 0)) if node["usable"] else 0
            kinds.setdefault(node["kind"], []).append((free, node["gpus"]))
    return [
        GpuKind(
            kind=kind,
            free=sum(free for free, _ in each),
            total=sum(total for _, total in each),
            on_one_host=max(free for free, _ in each),
        )
        for kind, each in sorted(kinds.items())
    ]


def _of_queue(resource: str, queue: Object) -> list[tuple[str, int, int]]:
    """Return the name of each flavor with GPUs, how many no workload has reserved, and the quota."""
    reserved = {
        flavor["name"]: _of(resource, flavor, "total")
        for flavor in (queue.get("status") or {}).get("flavorsReservation") or []
    }
    found = []
    for group in (queue.get("spec") or {}).get("resourceGroups") or []:
        for flavor in group.get("flavors") or []:
            if any(each.get("name") == resource for each in flavor.get("resources") or []):
                total = _of(resource, flavor, "nominalQuota")
                free = max(0, total - reserved.get(flavor["name"], 0))
                found.append((flavor["name"], free, total))
    return found


def _by_type(counted: Sequence[tuple[str, int, int]], types: Mapping[str, str]) -> list[GpuKind]:
    """Return the sums by type of GPU. A flavor's own name is none: no node has it as a label."""
    sums: dict[str, tuple[int, int]] = {}
    for flavor, free, total in counted:
        before = sums.get(types.get(flavor, ""), (0, 0))
        sums[types.get(flavor, "")] = (before[0] + free, before[1] + total)
    return [GpuKind(kind=kind, free=free, total=total) for kind, (free, total) in sorted(sums.items())]


def _reserved(resource: str, queue: Object | None) -> int | None:
    flavors = ((queue or {}).get("status") or {}).get("flavorsReservation")
    return None if flavors is None else sum(_of(resource, each, "total") for each in flavors)


def _of(resource: str, flavor: Object, field: str) -> int:
    return sum(
        _count(each.get(field)) for each in flavor.get("resources") or [] if each.get("name") == resource
    )


def _pending(queue: Object | None) -> int | None:
    found = ((queue or {}).get("status") or {}).get("pendingWorkloads")
    return None if found is None else int(found)


def _quota_left(resource: str, quotas: Sequence[Object]) -> tuple[int, int] | None:
    """Return how many GPUs the tightest quota leaves, and its limit. Quotas of some pods alone are left out."""
    found = []
    for quota in quotas:
        spec, status = quota.get("spec") or {}, quota.get("status") or {}
        hard = (status.get("hard") or {}).get(f"requests.{resource}")
        if hard is not None and not spec.get("scopes") and not spec.get("scopeSelector"):
            used = _count((status.get("used") or {}).get(f"requests.{resource}"))
            found.append((max(0, _count(hard) - used), _count(hard)))
    return min(found, default=None)


def _bounded(gpus: GpuKind, most: int) -> GpuKind:
    one = None if gpus.on_one_host is None else min(gpus.on_one_host, most)
    free = most if gpus.free is None else min(gpus.free, most)
    return msgspec.structs.replace(gpus, free=free, on_one_host=one)


def _count(quantity: object) -> int:
    """Return a quantity of Kubernetes as a whole number: GPUs are counted, and large quotas are written as 1k."""
    text = str(quantity or "0")
    factor = {"k": 1000.0, "m": 0.001}.get(text[-1], 1.0)
    return int(float(text.rstrip("km")) * factor)
