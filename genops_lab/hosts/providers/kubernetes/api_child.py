"""The process that talks to one API server; started with one descriptor, FD. It alone imports ``kubernetes``.

The socket FD has JSON lines: requests ``{"id", "op", ...}`` and answers ``{"id", "result"}`` or ``{"id", "error":
{"kind", "status", "reason", "message"}}``. ``kind`` is ``api`` (the server answered), ``unreachable`` or
``config``. ``{"changed": [namespace, name]}`` comes unasked for each change of a pod. The process ends with the
socket, and after 10 minutes without a request.

One watch for pods and one for events serve a namespace (:mod:`.watching`), however many kernels it has. They
end a minute after the last request that needs them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from .capacity_reads import CapacityReads
from .client import Api, ApiError
from .kueue import is_gated
from .kueue_watch import GROUP, Kueue
from .manifest import QUEUE, kernel_pod
from .watching import Watches

IDLE_S = 600.0
_THREADS = 8


def _in(namespace: str, *parts: str) -> str:
    return "/".join(["/api/v1/namespaces", quote(namespace), *map(quote, parts)])


class Server:
    """Answers the requests of one Lab."""

    def __init__(self, connection: socket.socket, api: Api) -> None:
        self._connection = connection
        self._api = api
        self._lock = threading.Lock()
        self._watches = Watches(api, self._changed)
        self._kueue = Kueue(api, self._changed)
        self._capacity = CapacityReads(api, self._kueue)
        self._ops: dict[str, Callable[..., Any]] = {
            "look": self._look,
            "list": self._list,
            "create": self._create,
            "delete": self._delete,
            "lacking": self._lacking,
            "queue": self._queue,
            "capacity": self._capacity.read,
            "access": lambda: self._api.access(),
        }

    def run(self) -> None:
        """Serve until the socket ends or nothing was asked for a while."""
        pool = ThreadPoolExecutor(_THREADS)
        self._connection.settimeout(IDLE_S)
        buffer = b""
        while True:
            try:
                data = self._connection.recv(65536)
            except TimeoutError:
                return
            if not data:
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                pool.submit(self._answer, json.loads(line))

    def _answer(self, request: dict[str, Any]) -> None:
        number, op = request.pop("id"), request.pop("op")
        try:
            answer = {"id": number, "result": self._ops[op](**request)}
        except ApiError as error:
            answer = {"id": number, "error": error.plain()}
        except Exception as error:  # the boundary: the Lab waits for an answer
            answer = {"id": number, "error": ApiError("api", f"{type(error).__name__}: {error}").plain()}
        self._tell(answer)

    def _changed(self, namespace: str, name: str) -> None:
        self._tell({"changed": [namespace, kernel_pod(name)]})

    def _tell(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            try:
                self._connection.sendall(data)
            except OSError:
                os._exit(0)

    def _look(self, namespace: str, selector: str, name: str) -> dict[str, Any]:
        """Return a pod (None: there is none) and its events, from the watches."""
        watch = self._watches.of(namespace, selector)
        found = watch.pod(name)
        if found is None:  # created a moment ago, or by another Lab
            try:
                found = watch.put(self._api.call("GET", _in(namespace, "pods", name)))
            except ApiError as error:
                if error.status != 404:
                    raise
        going = found is None or "deletionTimestamp" in found["metadata"]
        ends = going and self._namespace_ends(namespace)
        last = watch.gone(name) if found is None else None
        queue = (found["metadata"].get("labels") or {}).get(QUEUE) if found and is_gated(found) else ""
        kueue = self._kueue.about(namespace, queue, found["metadata"]["uid"]) if found and queue else None
        return {
            "pod": found,
            "last": last,
            "events": watch.events(name),
            "namespace_ends": ends,
            "kueue": kueue,
            "ahead_s": self._api.ahead_s,
        }

    def _namespace_ends(self, namespace: str) -> bool:
        """Return whether the namespace is being deleted, where the account may see it."""
        try:
            found = self._api.call("GET", _in(namespace))
        except ApiError as error:
            return error.status == 404
        return bool(found.get("status", {}).get("phase") == "Terminating")

    def _list(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        found = self._api.call("GET", _in(namespace, "pods"), {"labelSelector": selector})
        return list(found["items"])

    def _create(
        self, namespace: str, selector: str, manifest: dict[str, Any], dry_run: bool
    ) -> dict[str, Any]:
        query = {"dryRun": "All"} if dry_run else {}
        try:
            made = self._api.call("POST", _in(namespace, "pods"), query, manifest)
        except ApiError as error:
            # Answered by a time-out, a pod may exist all the same; its name says which one it is.
            if dry_run or (error.status != 409 and error.kind != "unreachable" and error.status < 500):
                raise
            try:
                made = self._api.call("GET", _in(namespace, "pods", manifest["metadata"]["name"]))
            except ApiError:
                raise error from None
        if not dry_run:
            self._watches.of(namespace, selector).put(made)
        return made

    def _delete(self, namespace: str, selector: str, name: str, uid: str, grace_s: int | None) -> bool:
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        watch = self._watches.of(namespace, selector)
        try:
            left = self._api.call("DELETE", _in(namespace, "pods", name), None, body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            left = {}
        if left.get("metadata", {}).get("deletionTimestamp"):
            watch.put(left)
        else:
            watch.drop(name)
        return True

    def _queue(self, namespace: str, selector: str, queue: str) -> dict[str, Any]:
        """Return whether the cluster has Kueue, and the namespace this queue (None: not known)."""
        path = self._kueue.path(GROUP, anew=True)
        exists: bool | None = None
        if path:
            try:
                self._api.call("GET", f"{path}/namespaces/{quote(namespace)}/localqueues/{quote(queue)}")
                exists = True
            except ApiError as error:
                exists = False if error.status == 404 else None
        return {"kueue": bool(path), "queue_exists": exists}

    def _lacking(self, namespace: str, verbs: list[list[str]]) -> list[list[str]]:
        """Return those of (verb, resource, subresource) that the account may not use."""
        lacking = []
        for verb, resource, sub in verbs:
            asked = {"namespace": namespace, "verb": verb, "resource": resource, "subresource": sub}
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            }
            found = self._api.call(
                "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None, body
            )
            if not found.get("status", {}).get("allowed"):
                lacking.append([verb, resource, sub])
        return lacking


def main(descriptor: int, kubeconfig: str, context: str) -> None:
    """Serve the socket, then end."""
    import urllib3

    urllib3.disable_warnings()
    try:
        Server(socket.socket(fileno=descriptor), Api(kubeconfig, context)).run()
    finally:
        sys.stderr.flush()
        import atexit

        atexit._run_exitfuncs()  # the client's files with certificates
        os._exit(0)  # a watch may wait for the server
