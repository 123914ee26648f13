"""Read the objects from which free GPUs are worked out. Belongs to the process of :mod:`.api_child`.

An object that the account may not read is not asked for again for ten minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from .capacity import trimmed_node, trimmed_pod
from .client import Api, ApiError
from .kueue_watch import GROUP, Kueue

#: Seconds for which an answer is kept. A list of all pods is dear for a large cluster.
_KEPT_S, _PODS_KEPT_S, _REFUSED_S = 15.0, 60.0, 600.0
_PAGE = 500


class CapacityReads:
    """Methods may be called from any thread."""

    def __init__(self, api: Api, kueue: Kueue) -> None:
        self._api, self._kueue = api, kueue
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any]] = {}

    def read(self, namespace: str, queue: str, resource: str, kinds_by: str) -> dict[str, Any]:
        """Return the arguments of :func:`.capacity.capacity`: objects, None for what cannot be read."""
        place = f"namespaces/{quote(namespace)}"
        found: dict[str, Any] = dict.fromkeys(("local_queue", "cluster_queue", "nodes", "pods"))
        found["flavors"] = {}
        with self._lock:  # one reader at a time: the next one takes what it has read
            quotas = f"/api/v1/{place}/resourcequotas"
            found["quotas"] = self._once(quotas, _KEPT_S, lambda: list(self._pages(quotas)))
            kueue = self._kueue.path(GROUP) if queue else ""
            if kueue:
                path = f"{kueue}/{place}/localqueues/{quote(queue)}"
                found["local_queue"] = self._object(path)
                name = ((found["local_queue"] or {}).get("spec") or {}).get("clusterQueue")
                if name:
                    found["cluster_queue"] = self._object(f"{kueue}/clusterqueues/{quote(name)}")
                    found["flavors"] = self._types(kueue, found["cluster_queue"] or {}, kinds_by)
            if not queue:
                found["nodes"] = self._once(
                    f"nodes {resource} {kinds_by}",
                    _PODS_KEPT_S,
                    lambda: [trimmed_node(each, resource, kinds_by) for each in self._pages("/api/v1/nodes")],
                )
            if found["nodes"] is not None:
                running = "status.phase!=Succeeded,status.phase!=Failed"
                found["pods"] = self._once(
                    f"pods {resource}",
                    _PODS_KEPT_S,
                    lambda: [
                        small
                        for each in self._pages("/api/v1/pods", fieldSelector=running)
                        if (small := trimmed_pod(each, resource))["gpus"]
                    ],
                )
        return found

    def _types(self, kueue: str, queue: dict[str, Any], kinds_by: str) -> dict[str, str]:
        """Return the type of GPU of each flavor that has the label of nodes for it."""
        found = {}
        for group in (queue.get("spec") or {}).get("resourceGroups") or []:
            for flavor in group.get("flavors") or []:
                made = self._object(f"{kueue}/resourceflavors/{quote(flavor['name'])}") or {}
                if kind := ((made.get("spec") or {}).get("nodeLabels") or {}).get(kinds_by):
                    found[flavor["name"]] = kind
        return found

    def _object(self, path: str) -> Any:
        return self._once(path, _KEPT_S, lambda: self._api.call("GET", path))

    def _once(self, key: str, kept_s: float, read: Callable[[], Any]) -> Any:
        until, found = self._kept.get(key, (0.0, None))
        if time.monotonic() < until:
            return found
        try:
            found, until = read(), time.monotonic() + kept_s
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            found, until = None, time.monotonic() + _REFUSED_S
        self._kept[key] = (until, found)
        return found

    def _pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        more = ""
        while True:
            asked = {**query, "limit": str(_PAGE), **({"continue": more} if more else {})}
            found = self._api.call("GET", path, asked)
            yield from found["items"]
            more = found["metadata"].get("continue") or ""
            if not more:
                return
