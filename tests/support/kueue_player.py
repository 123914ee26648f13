"""Kueue, played on a real Kubernetes: its webhook, its controller of single pods and its visibility API.

Kubernetes 1.20 knows no scheduling gates. The played webhook sets Kueue's label and finalizer, and gives the pod a
scheduler that does not exist, in place of the gate. The player tells the gate by the pod's condition, as newer
servers do, and binds an admitted pod to its node. It writes Workloads and conditions as Kueue's controllers do; it has
no quota of its own: the test says what happens.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.kubernetes import NODE, Cluster, scripts, until

GROUP, VERSION = "kueue.x-k8s.io", "v1beta2"
LABEL = "kueue.x-k8s.io/managed"
VISIBILITY = "visibility.kueue.x-k8s.io"
_CRDS = ("workloads", "localqueues", "clusterqueues", "resourceflavors")


class Player:
    """``order`` has the Workloads that wait, first to last. ``managed`` names the namespaces whose pods are gated.

    With ``admitted_at_once`` every new pod gets its quota.
    """

    def __init__(self, url: str, port: int) -> None:
        self._url, self.port = url, port
        self.managed: set[str] = set()
        self.order: list[str] = []
        self.admitted_at_once = False
        self.ended = threading.Event()

    # The API

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Ask the API server as an administrator."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, method=method, data=data)
        request.add_header("Content-Type", kind)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def merge(self, path: str, body: Any) -> Any:
        """Change some fields of an object."""
        return self.call("PATCH", path, body, "application/merge-patch+json")

    # What Kueue's scheduler decides

    def waits(self, pod: dict[str, Any], reason: str, message: str, **status: Any) -> None:
        """No quota is reserved for the pod."""
        self._status(pod, [_condition("QuotaReserved", "False", reason, message)], **status)

    def admits(self, pod: dict[str, Any]) -> None:
        """Quota is reserved, all checks are done: the gate goes."""
        self._status(
            pod,
            [
                _condition("QuotaReserved", "True", "QuotaReserved"),
                _condition("Admitted", "True", "Admitted"),
            ],
        )
        meta = pod["metadata"]
        self.order.remove(workload_of(pod))
        binding = {
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }  # fmt: skip
        self.call("POST", f"{_pods(meta['namespace'])}/{meta['name']}/binding", binding)

    def preempts(self, pod: dict[str, Any]) -> None:
        """Another workload gets its quota: the pod is marked, then deleted."""
        message = (
            "Preempted to accommodate a workload (UID: 1, JobUID: 2) due to prioritization in the ClusterQueue; "
            "preemptor path: /all; preemptee path: /all"
        )
        evicted = [
            _condition("Evicted", "True", "Preempted", message),
            _condition("Preempted", "True", "InClusterQueue", message),
        ]
        self._status(pod, evicted)
        meta = pod["metadata"]
        path = f"{_pods(meta['namespace'])}/{meta['name']}"
        known = self.call("GET", path)["status"].get("conditions") or []
        mark = _condition("TerminationTarget", "True", "WorkloadEvictedDueToPreempted", message)
        self.merge(f"{path}/status", {"status": {"conditions": [*known, mark]}})
        self._tell(pod, "Stopped", message)
        self.call("DELETE", path)

    def _tell(self, pod: dict[str, Any], reason: str, message: str) -> None:
        meta = pod["metadata"]
        about = {
            "apiVersion": "v1",
            "kind": "Pod",
            **{name: meta[name] for name in ("namespace", "name", "uid")},
        }
        now = datetime.datetime.now(datetime.timezone.utc)
        event = {
            "metadata": {"generateName": meta["name"]}, "involvedObject": about, "reason": reason, "message": message,
            "type": "Normal", "action": reason, "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingComponent": "pod-kueue-controller", "reportingInstance": "pod-kueue-controller",
        }  # fmt: skip
        self.call("POST", f"/api/v1/namespaces/{meta['namespace']}/events", event)

    def _status(self, pod: dict[str, Any], conditions: list[dict[str, str]], **status: Any) -> None:
        path = f"{_workloads(pod['metadata']['namespace'])}/{workload_of(pod)}"
        self.merge(f"{path}/status", {"status": {"conditions": conditions, **status}})

    # What its controller does by itself

    def run(self) -> None:
        """Make a Workload for each new pod, and let go of pods that have ended."""
        while not self.ended.wait(0.3):
            for namespace in list(self.managed):
                query = "?labelSelector=kueue.x-k8s.io%2Fmanaged%3Dtrue"
                try:
                    for pod in self.call("GET", _pods(namespace) + query)["items"]:
                        self._reconcile(pod)
                except urllib.error.HTTPError as error:
                    if error.code not in (404, 409):  # it was deleted or changed meanwhile
                        raise

    def _reconcile(self, pod: dict[str, Any]) -> None:
        meta, status = pod["metadata"], pod.get("status") or {}
        path = f"{_pods(meta['namespace'])}/{meta['name']}"
        if "deletionTimestamp" in meta:
            runs = any("running" in each["state"] for each in status.get("containerStatuses") or [])
            if not runs and meta.get("finalizers"):
                self.order = [each for each in self.order if each != workload_of(pod)]
                self.merge(path, {"metadata": {"finalizers": None}})
            return
        conditions = status.get("conditions") or []
        if pod["spec"].get("nodeName") or any(each["type"] == "PodScheduled" for each in conditions):
            return
        owner = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
        }
        self.call(
            "POST",
            _workloads(meta["namespace"]),
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "Workload",
                "metadata": {
                    "name": workload_of(pod),
                    "ownerReferences": [owner],
                    "labels": {"kueue.x-k8s.io/job-uid": meta["uid"]},
                },
                "spec": {
                    "queueName": meta["labels"]["kueue.x-k8s.io/queue-name"],
                    "podSets": [
                        {
                            "name": "main",
                            "count": 1,
                            "template": {"spec": {"containers": [{"name": "kernel", "image": "x"}]}},
                        }
                    ],
                },
            },
        )
        self.order.append(workload_of(pod))
        gate = _condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked")
        self.merge(f"{path}/status", {"status": {"conditions": [gate]}})
        if self.admitted_at_once:
            self.admits(pod)

    # Its servers

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Return the answer of the webhook or of the visibility API; None: there is no such path."""
        if method == "POST" and path.startswith("/mutate"):
            return self._mutated(body["request"])
        version = f"/apis/{VISIBILITY}/v1beta2"
        if path == version:
            queue = {"name": "localqueues", "namespaced": True, "kind": "LocalQueue", "verbs": []}
            sub = {**queue, "name": "localqueues/pendingworkloads", "verbs": ["get"]}
            return {
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{VISIBILITY}/v1beta2",
                "resources": [queue, sub],
            }  # fmt: skip
        if path.startswith(f"{version}/namespaces/") and path.endswith("/pendingworkloads"):
            items = [
                {"metadata": {"name": name}, "positionInClusterQueue": at, "positionInLocalQueue": at}
                for at, name in enumerate(list(self.order))
            ]
            return {"kind": "PendingWorkloadsSummary", "apiVersion": f"{VISIBILITY}/v1beta2", "items": items}
        return None

    def _mutated(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = {"uid": request["uid"], "allowed": True}
        labels = request["object"]["metadata"].get("labels") or {}
        if request["namespace"] in self.managed and "kueue.x-k8s.io/queue-name" in labels:
            patch = [
                {"op": "add", "path": "/metadata/labels/kueue.x-k8s.io~1managed", "value": "true"},
                {"op": "add", "path": "/metadata/finalizers", "value": [LABEL]},
                {"op": "add", "path": "/spec/schedulerName", "value": "no-scheduler"},
            ]
            answer.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode())
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}


def workload_of(pod: dict[str, Any]) -> str:
    """The name of a pod's Workload."""
    return f"pod-{pod['metadata']['name']}-{pod['metadata']['uid'][:5]}"


def _condition(name: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def _workloads(namespace: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/workloads"


def _is_established(cluster: Cluster, crd: str) -> bool:
    """Whether a CRD is served. `kubectl wait` fails where it has no conditions yet."""
    asked = "jsonpath={.status.conditions[?(@.type=='Established')].status}"
    return cluster.kubectl("get", crd, "-o", asked, check=False) == "True"


@contextmanager
def a_kueue(cluster: Cluster, folder: Path) -> Iterator[Player]:
    """Kueue's kinds, webhook and visibility API in a cluster, without any queue and managed namespace."""
    place = scripts()
    assert place is not None, "the cluster was started from it"
    for name in _CRDS:
        cluster.kubectl(
            "create", "--validate=false", "-f", str(place / "crds" / f"kueue-kueue.x-k8s.io_{name}.yaml")
        )
    for name in _CRDS:
        until(lambda crd=f"crd/{name}.{GROUP}": _is_established(cluster, crd))
    certificate = _certificate(folder)
    with cluster.proxy() as url:
        player = Player(url, 0)
        server = _serve(player, certificate)
        threads = [threading.Thread(target=each) for each in (server.serve_forever, player.run)]
        for thread in threads:
            thread.start()
        try:
            _register(cluster, player.port, certificate.read_bytes())
            yield player
        finally:
            player.ended.set()
            server.shutdown()
            server.server_close()
            for thread in threads:
                thread.join()


def _serve(player: Player, certificate: Path) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            found = player.answer(self.command, path, json.loads(body) if body else {})
            data = json.dumps(found or {"kind": "Status", "code": 404}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    player.port = server.server_address[1]
    return server


def _certificate(folder: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "kueue.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(made.public_bytes(encoding) + private)
    return file


def _register(cluster: Cluster, port: int, pem: bytes) -> None:
    """Let the API server call the webhook and the visibility API."""
    public = base64.b64encode(pem[: pem.index(b"-----BEGIN PRIVATE")]).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": "mpod.kb.io", "rules": [rule], "sideEffects": "None", "failurePolicy": "Fail",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": f"https://127.0.0.1:{port}/mutate--v1-pod", "caBundle": public},
    }  # fmt: skip
    service = {"namespace": "kube-system", "name": "kueue-visibility"}
    for each in (
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "kueue"}, "webhooks": [webhook],
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": service,
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": f"v1beta2.{VISIBILITY}"},
            "spec": {
                "group": VISIBILITY, "version": "v1beta2", "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100, "versionPriority": 100, "service": {**service, "port": port},
            },
        },
    ):  # fmt: skip
        cluster.apply(each)
    look = (
        "get",
        f"apiservice/v1beta2.{VISIBILITY}",
        "-o",
        'jsonpath={.status.conditions[?(@.type=="Available")].status}',
    )
    until(lambda: cluster.kubectl(*look) == "True")
