"""Keep what Kueue says of waiting pods: one watch for the Workloads of a namespace, one list for a queue's order.

Belongs to the process of :mod:`.api_child`. Kueue is never required: without it, or without the rights, a look at a
pod has no answer here and goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from .client import Api, ApiError
from .kueue import trimmed
from .watching import KEPT_S, Stream

GROUP, VISIBILITY = "kueue.x-k8s.io", "visibility.kueue.x-k8s.io"
#: Seconds until a missing API or right is asked for again, and for which an order is kept.
_REFUSED_S, _ORDER_S = 600.0, 5.0
_FIRST_LIST_S = 3.0


class Kueue:
    """The Workloads and queues of a cluster. ``told`` is called with namespace and pod when its Workload changes.

    Methods may be called from any thread.
    """

    def __init__(self, api: Api, told: Callable[[str, str], None]) -> None:
        self._api, self._told = api, told
        self._lock = threading.Lock()
        self._paths: dict[str, tuple[float, str]] = {}
        self._workloads: dict[str, _Workloads] = {}
        self._orders: dict[tuple[str, str], _Order] = {}

    def about(self, namespace: str, queue: str, uid: str) -> dict[str, Any] | None:
        """Return a pod's ``workload`` and ``position`` (from 1), each None where it is not known; None: no Kueue."""
        path = self.path(GROUP)
        if not path:
            return None
        with self._lock:
            if namespace not in self._workloads:
                told = partial(self._told, namespace)
                self._workloads[namespace] = _Workloads(self._api, path, namespace, told)
            workloads = self._workloads[namespace]
        workload = workloads.of(uid)
        position = None
        if workload is not None:
            position = self._order(namespace, queue).position(workload["name"])
        return {"workload": workload, "position": position}

    def path(self, group: str, *, anew: bool = False) -> str:
        """Return the path of an API group in its preferred version; empty where the cluster has none."""
        with self._lock:
            until, found = self._paths.get(group, (0.0, ""))
            if time.monotonic() < until and not anew:
                return found
            try:
                version = self._api.call("GET", f"/apis/{group}", tries=1)["preferredVersion"]["groupVersion"]
                found, until = f"/apis/{version}", float("inf")
            except ApiError as error:
                refused = error.status in (403, 404)
                found, until = "", time.monotonic() + (_REFUSED_S if refused else _FIRST_LIST_S)
            self._paths[group] = (until, found)
            return found

    def _order(self, namespace: str, queue: str) -> _Order:
        path = self.path(VISIBILITY)
        with self._lock:
            key = (namespace, queue)
            if key not in self._orders:
                self._orders[key] = _Order(self._api)
            order = self._orders[key]
        order.path = (
            f"{path}/namespaces/{quote(namespace)}/localqueues/{quote(queue)}/pendingworkloads"
            if path
            else ""
        )
        return order


class _Workloads:
    """The Workloads of pods that GenOps Lab made, by the pod's UID, watched while a pod waits."""

    def __init__(self, api: Api, path: str, namespace: str, told: Callable[[str], None]) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._by_pod: dict[str, dict[str, Any]] = {}
        self._used_at = self._refused_until = 0.0
        place = f"{path}/namespaces/{quote(namespace)}/workloads"
        self._stream = Stream(api, place, {}, self._listed, self._changed)

    def of(self, uid: str) -> dict[str, Any] | None:
        if time.monotonic() < self._refused_until:
            return None
        self._used_at = time.monotonic()
        self._stream.run_while(self._needed)
        try:
            self._stream.wait(most_s=_FIRST_LIST_S)
        except ApiError as error:
            if error.status in (403, 404):
                self._refused_until = time.monotonic() + _REFUSED_S
            return None
        with self._lock:
            return self._by_pod.get(uid)

    def _needed(self) -> bool:
        now = time.monotonic()
        return now - self._used_at < KEPT_S and now > self._refused_until

    def _listed(self, items: list[dict[str, Any]]) -> None:
        with self._lock:
            self._by_pod = {}
        for each in items:
            self._changed("ADDED", each)

    def _changed(self, kind: str, workload: dict[str, Any]) -> None:
        for owner in workload["metadata"].get("ownerReferences") or []:
            if owner.get("kind") == "Pod" and str(owner.get("name")).startswith("genops-"):
                with self._lock:
                    if kind == "DELETED":
                        self._by_pod.pop(owner["uid"], None)
                    else:
                        self._by_pod[owner["uid"]] = trimmed(workload)
                self._told(owner["name"])


class _Order:
    """The order of a queue's waiting Workloads, read at most once in a few seconds."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.path = ""
        self._lock = threading.Lock()
        self._until = 0.0
        self._positions: dict[str, int] = {}

    def position(self, workload: str) -> int | None:
        """Return the place in the ClusterQueue, from 1; None where it is not known."""
        with self._lock:
            if self.path and time.monotonic() >= self._until:
                self._read()
            return self._positions.get(workload)

    def _read(self) -> None:
        try:
            found = self._api.call("GET", self.path, tries=1)
        except ApiError as error:
            self._positions = {}
            refused = error.status in (403, 404)
            self._until = time.monotonic() + (_REFUSED_S if refused else KEPT_S)
            return
        self._until = time.monotonic() + _ORDER_S
        self._positions = {
            each["metadata"]["name"]: int(each["positionInClusterQueue"]) + 1
            for each in found.get("items") or []
        }
