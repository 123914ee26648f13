"""Keep the pods of a namespace and their events as the API server tells of them: one watch each.

A watch begins with a list and follows from its version. The server may end it at any time, forget the version
(410 Gone: list again) or be away (try again, with a growing pause).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .client import Api, ApiError, retry_after

#: Seconds after the last look for which the watches go on.
KEPT_S = 60.0
_WATCH_S = 300
#: The server sends a bookmark about once a minute: a longer silence is a connection that a proxy has dropped.
_QUIET_S = 90
_FIRST_PAUSE_S, _MOST_PAUSE_S = 0.2, 10.0
#: An outage of less than a minute is most often a restart of the server.
_MOST_PAUSE_AT_FIRST_S, _AT_FIRST_S = 1.0, 60.0
#: A watch that lasts longer, or told of a change, has worked: its end is no reason to wait.
_WORKED_S = 1.0
_SYNC_S = 12.0
_MOST_EVENTS = 32
#: Pods that are gone, of which the last state is kept: it says why.
_MOST_GONE = 64


class Watches:
    """The watches of all namespaces that somebody looks at. ``changed(namespace, name)`` is called for each change
    of a pod and for each of its events, from any thread."""

    def __init__(self, api: Api, changed: Callable[[str, str], None]) -> None:
        self._api = api
        self._changed = changed
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], NamespaceWatch] = {}

    def of(self, namespace: str, selector: str) -> NamespaceWatch:
        """Return the watch of a namespace's pods with these labels, which goes on while it is used."""
        with self._lock:
            found = self._known.get((namespace, selector))
            if found is None:
                found = self._known[(namespace, selector)] = NamespaceWatch(
                    self._api, namespace, selector, lambda name: self._changed(namespace, name)
                )
            found.used()
            return found


class NamespaceWatch:
    """The pods with some labels, and the latest events of each. Methods may be called from any thread."""

    def __init__(self, api: Api, namespace: str, selector: str, changed: Callable[[str], None]) -> None:
        self._api = api
        self._changed = changed
        self._lock = threading.Lock()
        self._pods: dict[str, dict[str, Any]] = {}
        self._gone: dict[str, dict[str, Any]] = {}
        self._server = ""
        self._elsewhere: dict[str, str] = {}
        self._events: dict[str, deque[dict[str, Any]]] = {}
        self._used_at = 0.0
        path = f"/api/v1/namespaces/{quote(namespace)}"
        pods, events = {"labelSelector": selector}, {"fieldSelector": "involvedObject.kind=Pod"}
        self._streams = (
            Stream(api, f"{path}/pods", pods, self._pods_listed, self._pod_changed),
            Stream(api, f"{path}/events", events, self._events_listed, self._event_changed),
        )

    def used(self) -> None:
        """Go on watching for a while."""
        self._used_at = time.monotonic()
        for stream in self._streams:
            stream.run_while(lambda: time.monotonic() - self._used_at < KEPT_S)

    def pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod, once the first list has come. Raises ApiError while the server is away, and where the
        context now leads to another server than the one that had the pod."""
        self._streams[0].wait()
        server = self._api.server
        with self._lock:
            known = self._server if name in self._pods else self._elsewhere.get(name, "")
            if known and known != server:
                raise ApiError("config", f"it led to {known}, where the pod is, and now leads to {server}")
            return self._pods.get(name)

    def gone(self, name: str) -> dict[str, Any] | None:
        """Return a pod that is gone, as it was seen last; None where none was seen."""
        with self._lock:
            return self._gone.get(name)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of a pod, also of one that is gone; none where the account may not see them."""
        self._streams[1].wait(quietly=True)
        with self._lock:
            return list(self._events.get(name, ()))

    def put(self, pod: dict[str, Any]) -> dict[str, Any]:
        """Take in a pod that the server has answered with, unless a newer one is known; return the newest."""
        name = pod["metadata"]["name"]
        with self._lock:
            known = self._pods.get(name)
            same = known is not None and known["metadata"]["uid"] == pod["metadata"]["uid"]
            if known is None or not same or _version(known) <= _version(pod):
                self._pods[name] = pod
                self._elsewhere.pop(name, None)
            newest = self._pods[name]
        if known is None or not same or _version(known) < _version(newest):
            self._changed(name)
        return newest

    def drop(self, name: str) -> None:
        """Forget a pod that is gone."""
        with self._lock:
            known = self._pods.pop(name, None)
            if known is not None:
                self._keep_gone(name, known)
        if known is not None:
            self._changed(name)

    def _keep_gone(self, name: str, pod: dict[str, Any]) -> None:
        self._gone.pop(name, None)
        self._gone[name] = pod
        while len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]

    def _pods_listed(self, items: list[dict[str, Any]]) -> None:
        server = self._api.server
        with self._lock:
            before, listed = self._pods, {each["metadata"]["name"]: each for each in items}
            for name in set(before) - set(listed):
                if self._server == server:
                    self._keep_gone(name, before[name])
                else:
                    self._elsewhere[name] = self._server
            for name in listed:
                self._elsewhere.pop(name, None)
            self._pods, self._server = listed, server
        for name in {*before, *listed}:  # also unchanged ones: a list follows an outage
            self._changed(name)

    def _pod_changed(self, kind: str, pod: dict[str, Any]) -> None:
        name = pod["metadata"]["name"]
        if kind == "DELETED":
            with self._lock:
                known = self._pods.get(name)
                if known is None or known["metadata"]["uid"] == pod["metadata"]["uid"]:
                    self._pods.pop(name, None)
                    self._keep_gone(name, pod)
            self._changed(name)
        else:
            self.put(pod)

    def _events_listed(self, items: list[dict[str, Any]]) -> None:
        with self._lock:
            self._events = {}
        for each in items:
            self._event_changed("ADDED", each)

    def _event_changed(self, kind: str, event: dict[str, Any]) -> None:
        about = event.get("involvedObject") or {}
        if kind == "DELETED" or not str(about.get("name", "")).startswith("genops-"):
            return
        kept = {name: event.get(name) for name in ("reason", "message", "type")}
        kept.update(
            at=event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"].get("creationTimestamp"),
            uid=about.get("uid"),
        )
        with self._lock:
            self._events.setdefault(about["name"], deque(maxlen=_MOST_EVENTS)).append(kept)
        self._changed(about["name"])


class Stream:
    """A list and its watch, in a thread while somebody needs them."""

    def __init__(
        self,
        api: Api,
        path: str,
        query: dict[str, str],
        listed: Callable[[list[dict[str, Any]]], None],
        changed: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self._api, self._path, self._query = api, path, query
        self._listed, self._changed = listed, changed
        self._lock = threading.Lock()
        self._synced = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._told = False
        self._state: Exception | bool | None = None  # None: not listed yet; True: up to date; or why not

    def run_while(self, needed: Callable[[], bool]) -> None:
        """Run in a thread until ``needed`` returns False."""
        with self._lock:
            if self._thread is None:
                self._state = None
                self._thread = threading.Thread(target=self._run, args=(needed,), daemon=True)
                self._thread.start()

    def wait(self, *, quietly: bool = False, most_s: float = _SYNC_S) -> None:
        """Wait for the first list. Raises ApiError where the server does not answer, unless ``quietly``."""
        with self._synced:
            self._synced.wait_for(lambda: self._state is not None, most_s)
            if isinstance(self._state, Exception) and not quietly:
                raise self._state

    def _set(self, state: Exception | bool) -> None:
        with self._synced:
            self._state = state
            self._synced.notify_all()

    def _run(self, needed: Callable[[], bool]) -> None:
        version, pause, worked_at = "", _FIRST_PAUSE_S, time.monotonic()
        while True:
            began, retry_s, self._told = 0.0, 0.0, False
            with self._lock:
                if not needed():
                    self._thread = None
                    return
            try:
                if not version:
                    found = self._api.call("GET", self._path, self._query)
                    version = found["metadata"]["resourceVersion"]
                    self._listed(found["items"])
                    self._set(True)
                began = time.monotonic()
                version = self._follow(version, needed)
            except ApiError as error:
                # A watch that was cut misses what happened meanwhile: list again. Only the list tells whether the
                # server is away.
                if not version:
                    self._set(error)
                version, retry_s = "", error.retry_s
            if self._told or (began and time.monotonic() - began > _WORKED_S):
                pause, worked_at = _FIRST_PAUSE_S, time.monotonic()
                continue
            time.sleep(max(retry_s, pause) * random.uniform(0.8, 1.2))  # noqa: S311
            early = time.monotonic() - worked_at < _AT_FIRST_S
            pause = min(2 * pause, _MOST_PAUSE_AT_FIRST_S if early else _MOST_PAUSE_S)

    def _follow(self, version: str, needed: Callable[[], bool]) -> str:
        """Take in changes until the watch ends; return the last version. Raises ApiError."""
        query = {
            **self._query, "watch": "1", "resourceVersion": version,
            "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_S),
        }  # fmt: skip
        response = self._api.open("GET", self._path, query, read_s=_QUIET_S)
        try:
            if response.status >= 400:
                refused = ApiError("api", response.read()[:500].decode(errors="replace"), response.status)
                refused.retry_s = retry_after(response)
                raise refused
            rest = b""
            for piece in response.stream(65536, decode_content=False):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    change = json.loads(line)
                    about = change["object"]
                    if change["type"] == "ERROR":
                        raise ApiError("api", str(about.get("message")), int(about.get("code") or 500))
                    version = about["metadata"]["resourceVersion"]
                    self._told = True
                    if change["type"] != "BOOKMARK":
                        self._changed(change["type"], about)
                if not needed():
                    return version
        except ApiError:
            raise
        except Exception as error:  # urllib3's errors of a cut, and a line that it cut
            raise ApiError("unreachable", str(error)) from error
        finally:
            response.close()
        return version


def _version(pod: dict[str, Any]) -> int:
    text = str(pod["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdecimal() else 0
