"""A stand-in for what no Kubernetes of this machine can do: an API server with TLS of its own, for one namespace.

It plays v5 and v4 of exec, the permissions of 1.35 (a websocket of exec needs ``get`` and ``create``), idle cuts,
refusals (429, 410, 401), watches that are cut, and creates without an answer. Pods run at once: a command in one is
a real process of this machine with the container's variables, where /genops is a folder. Manifests are checked
against the schema of 1.37. Nothing plays the container's own process, nodes or quotas.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import json
import os
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from cryptography import x509
from tornado import httpserver, httputil, iostream, netutil, web, websocket

from genops_lab.hosts import providers
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.kubernetes.errors import VERBS
from genops_lab.hosts.providers.kubernetes.manifest import FOLDER

from .authority import Authority
from .kubernetes_schemas import VERSIONS, faults
from .processes import end_those_of

NAMESPACE, CONTEXT, TOKEN = "team", "lab", "first-token"
Protocol = Literal["v4.channel.k8s.io", "v5.channel.k8s.io"]
Op = Literal["create", "get", "list", "watch", "delete", "exec"]
_PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME


class Fault(NamedTuple):
    """What the next request of an operation meets. ``status`` 0: the connection ends without an answer.

    ``done``: the request has its effect all the same.
    """

    status: int
    message: str = ""
    retry_after: str = ""
    done: bool = False


class StandIn:
    """The server's state, for tests to look at and to change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.pods: dict[str, dict[str, Any]] = {}
        self.protocols: list[Protocol] = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
        self.tokens = {TOKEN}
        self.allowed = set(VERBS)
        #: Seconds of silence after which a stream is cut; 0: never.
        self.idle_cut_s = 0.0
        #: Seconds that its clock is ahead of the tests'.
        self.ahead_s = 0.0
        #: what the next requests of an operation meet, one each
        self.faults: dict[Op, list[Fault]] = {}
        #: the operations that were asked for, and the protocol and the end of each exec
        self.asked: list[Op] = []
        self.streams: list[Protocol] = []
        self.cuts = 0
        self.changes: list[dict[str, Any]] = []
        self.forgotten = 0
        self.watchers: set[Any] = set()
        self.created = 0
        self.port = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stop = asyncio.Event()
        self.application: web.Application | None = None
        self.execs: set[_Exec] = set()

    # For tests

    def do(self, work: Callable[[], Any]) -> Any:
        """Run in the server's thread."""
        assert self.loop is not None
        done: list[Any] = []
        ready = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (done.append(work()), ready.set()))
        assert ready.wait(10)
        return done[0]

    def cut_watches(self) -> int:
        """End all watches in the middle of a line; how many there were."""

        def cut() -> int:
            found = list(self.watchers)
            for each in found:
                each.write(b'{"type":"MODI')
                each.flush()
                _hang_up(each)
            return len(found)

        return int(self.do(cut))

    def cut_streams(self) -> int:
        """End all streams without a word; how many there were."""

        def cut() -> int:
            found = list(self.execs)
            for each in found:
                _hang_up(each)
            return len(found)

        return int(self.do(cut))

    def forget_versions(self) -> None:
        """Watches from a version of today are refused: 410."""
        self.do(lambda: setattr(self, "forgotten", len(self.changes)))

    def change(self, name: str, status: dict[str, Any]) -> None:
        """A pod's status changes."""

        def put() -> None:
            self.pods[name]["status"].update(status)
            self.record("MODIFIED", self.pods[name])

        self.do(put)

    def kubeconfig(self, user: dict[str, Any], context: str = CONTEXT, name: str = "kubeconfig") -> Path:
        """A kubeconfig with this user."""
        path = self.folder / name
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(self.authority.file),
        }
        made = path.with_suffix(".new")
        made.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": context,
                    "clusters": [{"name": "c", "cluster": cluster}],
                    "users": [{"name": "ada", "user": user}],
                    "contexts": [{"name": context, "context": {"cluster": "c", "user": "ada"}}],
                }
            )
        )  # fmt: skip
        made.replace(path)
        return path

    def route(self, kubeconfig: Path | None = None, **config: Any) -> Route:
        """The route to a target on it."""
        path = kubeconfig or self.kubeconfig({"token": TOKEN})
        given = {"context": CONTEXT, "namespace": NAMESPACE, "image": "i", "python": sys.executable, **config}
        return providers.route_of("cluster", "kubernetes", kubeconfig=str(path), **given)

    # For the handlers

    def record(self, kind: str, pod: dict[str, Any]) -> None:
        """Tell watches of a change."""
        pod["metadata"]["resourceVersion"] = str(len(self.changes) + 1)
        self.changes.append({"type": kind, "object": deepcopy(pod)})
        for each in self.watchers:
            each.wake.set()

    def create(self, pod: dict[str, Any]) -> None:
        """Take a pod in; it runs at once."""
        self.created += 1
        pod["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp=f"{_in():%Y-%m-%dT%H:%M:%SZ}")
        now = _in(days=self.ahead_s / 86400)
        running = {"running": {"startedAt": f"{now:%Y-%m-%dT%H:%M:%SZ}"}}
        names = [each["name"] for each in pod["spec"]["containers"]]
        pod["status"] = {
            "phase": "Running", "startTime": running["running"]["startedAt"],
            "containerStatuses": [{"name": name, "state": running} for name in names],
        }  # fmt: skip
        self.pods[pod["metadata"]["name"]] = pod
        self.record("ADDED", pod)

    def delete(self, name: str) -> dict[str, Any]:
        """Take a pod out, with its processes."""
        pod = self.pods.pop(name)
        end_those_of(self.place(name))
        self.record("DELETED", pod)
        return pod

    def place(self, name: str) -> Path:
        """The folder of a pod's /genops."""
        return self.folder / "pods" / name


class _Handler(web.RequestHandler):
    """A request of an account that may do what it asks."""

    @property
    def standin(self) -> StandIn:
        found = self.application.settings["standin"]
        assert isinstance(found, StandIn)
        return found

    def set_default_headers(self) -> None:
        self.set_header("Date", httputil.format_timestamp(time.time() + self.standin.ahead_s))

    def status(self, code: int, message: str, reason: str = "") -> None:
        self.set_status(code)
        body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
        self.finish(body)

    def logged_in(self) -> bool:
        """Whether the account is known; it is told otherwise."""
        login = self.request.headers.get("Authorization", "")
        if login:
            known = login.partition(" ")[2] in self.standin.tokens
        else:
            certificate = self.request.get_ssl_certificate(binary_form=True)
            if not certificate:
                self.status(403, 'forbidden: User "system:anonymous" cannot get path', "Forbidden")
                return False
            ended = x509.load_der_x509_certificate(certificate).not_valid_after_utc
            known = ended > _in()
        if not known:
            self.status(401, "Unauthorized", "Unauthorized")
        return known

    def may(self, op: Op, verb: str, sub: str = "") -> Fault | None:
        """Whether the account is known and may do this; ``Fault(-1)``: it was told that it may not."""
        self.standin.asked.append(op)
        if not self.logged_in():
            return Fault(-1)
        if (verb, "pods", sub) not in self.standin.allowed:
            resource = f"pods/{sub}" if sub else "pods"
            self.status(
                403,
                f'pods is forbidden: User "ada" cannot {verb} resource "{resource}" in API group ""',
                "Forbidden",
            )
            return Fault(-1)
        waiting = self.standin.faults.get(op)
        return waiting.pop(0) if waiting else None

    def met(self, fault: Fault | None) -> bool:
        """Whether the request ends here, by a fault."""
        if fault is None:
            return False
        if fault.status == 0:
            _hang_up(self)
        elif fault.status > 0:
            if fault.retry_after:
                self.set_header("Retry-After", fault.retry_after)
            self.status(fault.status, fault.message or f"played {fault.status}")
        return True

    def log_exception(self, kind: Any, value: BaseException | None, trace: Any) -> None:
        """Quiet about what is played."""
        if not isinstance(value, (iostream.StreamClosedError, websocket.WebSocketClosedError)):
            super().log_exception(kind, value, trace)


class _Version(_Handler):
    def get(self) -> None:
        if self.logged_in():
            self.finish({"major": "1", "minor": "37"})


class _Discovery(_Handler):
    """What kubectl asks before anything else."""

    def get(self) -> None:
        pods = {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "Pod",
            "verbs": ["get", "list"],
        }
        self.finish(
            {
                "/api": {"kind": "APIVersions", "versions": ["v1"]},
                "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
                "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [pods]},
            }[self.request.path]
        )


class _Review(_Handler):
    def post(self) -> None:
        if self.logged_in():
            asked = json.loads(self.request.body)["spec"]["resourceAttributes"]
            allowed = (asked["verb"], asked["resource"], asked["subresource"]) in self.standin.allowed
            self.finish({"status": {"allowed": allowed}})


class _Namespace(_Handler):
    def get(self) -> None:
        if self.logged_in():
            self.finish({"metadata": {"name": NAMESPACE}, "status": {"phase": "Active"}})


class _Events(_Handler):
    async def get(self) -> None:
        if not self.logged_in():
            return
        if self.get_argument("watch", ""):
            self.wake = asyncio.Event()
            await self.flush()
            await self.wake.wait()  # no event ever
        else:
            self.finish({"metadata": {"resourceVersion": "1"}, "items": []})

    def on_connection_close(self) -> None:
        if hasattr(self, "wake"):
            self.wake.set()


class _Pods(_Handler):
    def post(self) -> None:
        fault = self.may("create", "create")
        if fault is not None and not fault.done:
            self.met(fault)
            return
        pod = json.loads(self.request.body)
        if found := faults(pod, VERSIONS[-1]):
            self.status(400, f"strict decoding error: {'; '.join(found)}", "BadRequest")
        elif pod["metadata"]["name"] in self.standin.pods:
            self.status(409, f'pods "{pod["metadata"]["name"]}" already exists', "AlreadyExists")
        else:
            if not self.get_argument("dryRun", ""):
                self.standin.create(pod)
            if not self.met(fault):
                self.set_status(201)
                self.finish(pod)

    async def get(self) -> None:
        if self.get_argument("watch", ""):
            if not self.met(self.may("watch", "watch")):
                await self._watch(int(self.get_argument("resourceVersion")))
        elif not self.met(self.may("list", "list")):
            items = [each for each in self.standin.pods.values() if self._is_meant(each)]
            self.finish({"metadata": {"resourceVersion": str(len(self.standin.changes))}, "items": items})

    def _is_meant(self, pod: dict[str, Any]) -> bool:
        pairs = [each.split("=") for each in self.get_argument("labelSelector", "").split(",") if each]
        return all(pod["metadata"]["labels"].get(name) == value for name, value in pairs)

    async def _watch(self, version: int) -> None:
        if version < self.standin.forgotten:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            self.finish(json.dumps({"type": "ERROR", "object": gone}) + "\n")
            return
        self.wake = asyncio.Event()
        self.standin.watchers.add(self)
        await self.flush()
        try:
            while not self.request.connection.stream.closed():  # type: ignore[union-attr]
                for change in self.standin.changes[version:]:
                    if self._is_meant(change["object"]):
                        self.write(json.dumps(change) + "\n")
                version = len(self.standin.changes)
                await self.flush()
                self.wake.clear()
                await self.wake.wait()
        except iostream.StreamClosedError:
            pass
        finally:
            self.standin.watchers.discard(self)

    def on_connection_close(self) -> None:
        if hasattr(self, "wake"):
            self.wake.set()


class _Pod(_Handler):
    def get(self, name: str) -> None:
        if self.met(self.may("get", "get")):
            return
        if name in self.standin.pods:
            self.finish(self.standin.pods[name])
        else:
            self.status(404, f'pods "{name}" not found', "NotFound")

    async def delete(self, name: str) -> None:
        if self.met(self.may("delete", "delete")):
            return
        if name in self.standin.pods:
            self.finish(self.standin.delete(name))
        else:
            self.status(404, f'pods "{name}" not found', "NotFound")


class _Exec(websocket.WebSocketHandler, _Handler):
    """Channels of a real process: 0 standard input, 1 output, 2 errors, 3 its end; 255 (v5) closes one."""

    async def get(self, name: str) -> None:  # type: ignore[override]
        for verb in ("get", "create"):  # 1.35 asks for both
            if self.met(self.may("exec", verb, "exec")):
                return
        if name not in self.standin.pods:
            self.status(404, f'pods "{name}" not found', "NotFound")
            return
        self.name = name
        await super().get()

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        chosen = next((each for each in self.standin.protocols if each in subprotocols), None)
        if chosen:
            self.standin.streams.append(chosen)
        return chosen

    def open(self, *_: str, **__: str) -> None:
        pod = self.standin.pods[self.name]
        container = next(
            each for each in pod["spec"]["containers"] if each["name"] == self.get_argument("container")
        )
        place = self.standin.place(self.name)
        env = {each["name"]: each["value"].replace(FOLDER, str(place)) for each in container["env"]}
        with contextlib.suppress(OSError):  # as the container's own command
            Path(env["HOME"]).mkdir(parents=True, exist_ok=True)
        self.heard = time.monotonic()
        self.standin.execs.add(self)
        self.process = subprocess.Popen(
            self.get_arguments("command"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PATH": _PATH, **env}, start_new_session=True,
        )  # fmt: skip
        self.loop = asyncio.get_running_loop()
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        threading.Thread(target=self._feed, daemon=True).start()
        self.readers = [
            threading.Thread(target=self._read, args=(channel, pipe), daemon=True)
            for channel, pipe in ((1, self.process.stdout), (2, self.process.stderr))
        ]
        for each in self.readers:
            each.start()
        threading.Thread(target=self._wait, daemon=True).start()
        self.cutter = asyncio.ensure_future(self._cut_when_idle())

    def _feed(self) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        while data := asyncio.run_coroutine_threadsafe(self.pieces.get(), self.loop).result():
            try:
                stdin.write(data)
                stdin.flush()
            except OSError:
                return
        stdin.close()

    def _read(self, channel: int, pipe: Any) -> None:
        while data := os.read(pipe.fileno(), 65536):
            asyncio.run_coroutine_threadsafe(self._send(channel, data), self.loop).result()
        pipe.close()

    def _wait(self) -> None:
        for each in self.readers:
            each.join()
        code = self.process.wait()
        end: dict[str, Any] = {"status": "Success"}
        if code:
            cause = {"reason": "ExitCode", "message": str(code)}
            end = {"status": "Failure", "message": f"code {code}", "details": {"causes": [cause]}}

        async def tell() -> None:
            await self._send(3, json.dumps(end).encode())
            self.close(1000)

        asyncio.run_coroutine_threadsafe(tell(), self.loop)

    async def _send(self, channel: int, data: bytes) -> None:
        self.heard = time.monotonic()
        with contextlib.suppress(websocket.WebSocketClosedError):  # a cut: the process goes on, as in a pod
            await self.write_message(bytes([channel]) + data, binary=True)

    def on_message(self, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        self.heard = time.monotonic()
        if message[0] == 255:
            assert self.selected_subprotocol == "v5.channel.k8s.io" and message[1:] == b"\0"
            self.pieces.put_nowait(b"")
        elif len(message) > 1:
            self.pieces.put_nowait(message[1:])

    async def _cut_when_idle(self) -> None:
        """As a proxy does; the server then says "Success" to some clients (kubernetes#73056)."""
        while not (0 < self.standin.idle_cut_s < time.monotonic() - self.heard):
            await asyncio.sleep(0.1)
            if self.ws_connection is None:
                return
        self.standin.cuts += 1
        await self._send(3, b'{"status": "Success"}')
        self.close(1000)

    def on_close(self) -> None:
        self.standin.execs.discard(self)
        self.pieces.put_nowait(b"")


def _hang_up(handler: web.RequestHandler) -> None:
    connection = handler.ws_connection if isinstance(handler, _Exec) else None
    stream: Any = (connection or handler.request.connection).stream  # type: ignore[union-attr]
    stream.close()


def _in(days: float = 0.0) -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)


def jwt(valid_s: float) -> str:
    """A token that names its end, as identity providers give them; nobody looks at its signature."""
    parts = [{"alg": "none"}, {"exp": int(time.time() + valid_s), "jti": uuid.uuid4().hex}, {"s": 1}]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts
    )


@contextmanager
def a_standin(folder: Path) -> Iterator[StandIn]:
    """A server of its own; its processes end with it."""
    standin = StandIn(folder)
    where = rf"/api/v1/namespaces/{NAMESPACE}"
    application = standin.application = web.Application(
        [
            ("/version", _Version),
            ("(?:/api|/apis|/api/v1)", _Discovery),
            ("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", _Review),
            (where, _Namespace),
            (rf"{where}/events", _Events),
            (rf"{where}/pods", _Pods),
            (rf"{where}/pods/([^/]+)", _Pod),
            (rf"{where}/pods/([^/]+)/exec", _Exec),
        ],
        standin=standin,
        log_function=lambda _handler: None,
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(standin.authority.file))
    context.load_cert_chain(*standin.authority.issue("server"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME  # a certificate that ended gets 401, as from a real API server
    sockets = netutil.bind_sockets(0, "127.0.0.1")
    standin.port = sockets[0].getsockname()[1]
    ready = threading.Event()

    async def serve() -> None:
        server = httpserver.HTTPServer(application, ssl_options=context)
        server.add_sockets(sockets)
        standin.loop, standin.stop = asyncio.get_running_loop(), asyncio.Event()
        ready.set()
        await standin.stop.wait()
        server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield standin
    finally:
        end_those_of(folder)
        standin.do(standin.stop.set)
        thread.join(10)
