"""Kernels in pods of a real Kubernetes on this machine."""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from genops_lab.kernels import kernelspecs
from tests.kernels.places import Place, a_place
from tests.support.homes import Home
from tests.support.kubernetes import Cluster

from .compute_measures import (
    Line,
    Numbers,
    Starts,
    cost_of_waiting,
    figure,
    of_a_kernel,
    until,
    waiting_hosts,
    warm_starts,
)
from .gateway_provisioners import NAME as PEER
from .remote_measures import Kernel

STARTS = int(os.environ.get("GENOPS_BENCH_STARTS", "5"))
PODS = int(os.environ.get("GENOPS_BENCH_PODS", "200"))
NAMESPACE = "bench"
RESTARTS, EVENTS = 3, 3
_API = "https://127.0.0.1:16443"


def figures(cluster: Cluster, home: Home, peer: Line) -> Iterator[Line]:
    """Yield the starts beside ``peer``'s, one kernel's figures, restarts of the API server, and the cost of many."""
    cluster.namespace(NAMESPACE)
    with a_place(home, cluster.route(NAMESPACE, NAMESPACE, home.path / "target")) as place:
        starts = Starts(place, PROVIDER, ["scheduled", "containers run"])
        watch = threading.Thread(target=_mark_pods, args=(cluster, starts), daemon=True)
        watch.start()
        marks = []
        for number in range(STARTS + 1):
            kernel, one = starts.start()
            marks.append(one)
            if number == STARTS:
                yield from starts.figures("pod", marks, 5.0, **_beside(peer, "starts"))
                yield from of_a_kernel("pod", place, kernel, 5.0, _beside(peer, "stdout_100_mb"))
                yield _restarts_of_the_api_server(cluster, place, kernel)
            kernel.close()
        yield warm_starts("pod", place, PROVIDER, STARTS)
        yield _events(cluster, place)
        yield _deletions(cluster, place)
        yield figure(
            "pod_lines_while_away", "lost", [_lost_while_away(place)], target=0, **_beside(peer, "lost"),
            notes={"of": 120, "away": "3 s: the Lab's process, the baseline's client"},
        )  # fmt: skip


def _beside(peer: Line, name: str) -> Line:
    return {"baseline": PEER, "baseline_values": peer[name]} if peer.get(name) else {}


def _mark_pods(cluster: Cluster, starts: Starts) -> None:
    for pod in _changes(cluster):
        if pod["spec"].get("nodeName"):
            starts.marks.mark("scheduled")
        if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
            starts.marks.mark("containers run")


def _changes(cluster: Cluster, query: str = "") -> Iterator[dict[str, Any]]:
    """Yield pods as a watch of this benchmark's own tells of them, until the server ends."""
    access = ssl.create_default_context(cafile=str(cluster.folder / "pki" / "ca.crt"))
    access.load_cert_chain(cluster.folder / "pki" / "admin.crt", cluster.folder / "pki" / "admin.key")
    url = f"{_API}/api/v1/namespaces/{NAMESPACE}/pods?watch=1{query}"
    with suppress(OSError, HTTPException), urllib.request.urlopen(url, context=access) as changes:
        for line in changes:
            yield json.loads(line)["object"]


def _lost_while_away(place: Place) -> float:
    """Lines of a cell that do not come when the Lab's process ends and another attaches 3 s later."""
    kernel = Kernel(kernelspecs.name_of(place.route.target))
    numbers = Numbers.of(place, kernel)
    kernel.client.execute("import time\nfor i in range(120): print(f'<{i}>', flush=True); time.sleep(0.05)")
    numbers.until(20)
    manager = numbers.in_a_new_process(place, str(kernel.manager.kernel_id), away_s=3.0)
    numbers.until(120 - len(numbers.in_order))
    manager.shutdown_kernel(now=True)
    return float(120 - len(numbers.found))


def _restarts_of_the_api_server(cluster: Cluster, place: Place, kernel: Kernel) -> Line:
    numbers = Numbers.of(place, kernel)
    kernel.client.execute("import time\nfor i in range(6000): print(f'<{i}>', flush=True); time.sleep(0.1)")
    kernel.client.stop_channels()
    took = []
    for _ in range(RESTARTS):
        numbers.until(10)
        cluster.kill_api_server()
        ready = until(lambda: cluster.kubectl("get", "--raw", "/readyz", check=False) == "ok")
        numbers.until(1)
        took.append(time.perf_counter() - ready)
    return figure(
        "pod_output_after_an_api_restart", "s", took, target=2.0,
        notes={"measured": "from /readyz to the next line in the Lab"},
    )  # fmt: skip


def _events(cluster: Cluster, place: Place) -> Line:
    """From the end of a kernel's container, as the API has it, to the state of the kernel in the Lab."""
    took = []
    for _ in range(EVENTS):
        kernel = Kernel(kernelspecs.name_of(place.route.target))
        bridge = place.remote.bridges[str(kernel.manager.kernel_id)]
        pod = _pod_of(cluster, bridge.link.route.host_id)
        ended: list[float] = []
        arguments = (cluster, pod["metadata"]["name"], ended)
        threading.Thread(target=_mark_end, args=arguments, daemon=True).start()
        cluster.kill_container(pod, "kernel")
        told = until(lambda bridge=bridge: bridge.state.state == "ended")  # type: ignore[misc]
        until(lambda ended=ended: bool(ended))  # type: ignore[misc]
        took.append(max(0.0, told - ended[0]))
        kernel.close()
    return figure(
        "pod_end_shown", "s", took, target=2.0, notes={"measured": "from the end of the container in the API"}
    )


def _deletions(cluster: Cluster, place: Place) -> Line:
    """From the answer to the deletion of a pod, whose containers have 5 s to end, to the state in the Lab."""
    took = []
    for _ in range(EVENTS):
        kernel = Kernel(kernelspecs.name_of(place.route.target))
        bridge = place.remote.bridges[str(kernel.manager.kernel_id)]
        name = _pod_of(cluster, bridge.link.route.host_id)["metadata"]["name"]
        cluster.kubectl("-n", NAMESPACE, "delete", "pod", name, "--wait=false", "--grace-period=5")
        begun = time.perf_counter()
        took.append(until(lambda bridge=bridge: bridge.state.state == "ended") - begun)  # type: ignore[misc]
        kernel.close()
    notes = {
        "measured": "from the API's answer to the end; the containers have 5 s to end, of which the Lab gives notice"
    }
    return figure("pod_deletion_shown", "s", took, notes=notes)


def _pod_of(cluster: Cluster, host_id: str) -> dict[str, Any]:
    return next(
        each
        for each in cluster.pods(NAMESPACE)
        if each["metadata"]["annotations"].get("genops-lab/host-id") == host_id
    )


def _mark_end(cluster: Cluster, name: str, ended: list[float]) -> None:
    for pod in _changes(cluster, f"&fieldSelector=metadata.name={name}"):
        if any("terminated" in each["state"] for each in pod["status"].get("containerStatuses") or ()):
            ended.append(time.perf_counter())
            return


def waiting(cluster: Cluster, home: Home) -> Iterator[Line]:
    """Yield the cost of many pods that no node can take."""
    cluster.namespace(NAMESPACE)
    route = cluster.route(NAMESPACE, NAMESPACE, home.path / "target", node_selector="pool=none")
    with a_place(home, route) as place, waiting_hosts(place, PROVIDER, PODS, Resources()):
        line = cost_of_waiting("pods_waiting", PODS)
        yield figure(
            "pods_waiting_watches", "watches", [_watches(cluster)], target=2,
            notes={"pods": PODS, "of": "pods and events"},
        )  # fmt: skip
        yield line


def _watches(cluster: Cluster) -> float:
    """The watches of one namespace's pods or events that the API server serves."""
    metrics = cluster.kubectl("get", "--raw", "/metrics")
    lines = re.findall(r"^apiserver_longrunning_gauge\{(.*)\} (\d+)", metrics, re.MULTILINE)
    own = [
        int(count)
        for labels, count in lines
        if 'verb="WATCH"' in labels and 'scope="namespace"' in labels
        and re.search(r'resource="(pods|events)"', labels)
    ]  # fmt: skip
    return float(sum(own))
