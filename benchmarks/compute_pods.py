"""Kernels in pods of a real Kubernetes on this machine."""

from __future__ import annotations

import json
import os
import re
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from genops_lab.hosts.providers.base import Gone, Resources
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from genops_lab.kernels import kernelspecs
from genops_lab.kernels.client.client import RemoteKernelClient
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
        yield _events(cluster, place)
        yield figure(
            "pod_lines_while_away", "lost", [_lost_while_away(place)], target=0, **_beside(peer, "lost"),
            notes={"of": 120, "away": "3 s: the Lab's process, the baseline's client"},
        )  # fmt: skip
        yield from _many(cluster, place, watch)


def _beside(peer: Line, name: str) -> Line:
    return {"baseline": PEER, "baseline_values": peer[name]} if peer.get(name) else {}


def _mark_pods(cluster: Cluster, starts: Starts) -> None:
    """Follow the pods with a watch of this benchmark's own, until the server ends."""
    access = ssl.create_default_context(cafile=str(cluster.folder / "pki" / "ca.crt"))
    access.load_cert_chain(cluster.folder / "pki" / "admin.crt", cluster.folder / "pki" / "admin.key")
    url = f"{_API}/api/v1/namespaces/{NAMESPACE}/pods?watch=1"
    with suppress(OSError), urllib.request.urlopen(url, context=access) as changes:
        for line in changes:
            pod = json.loads(line)["object"]
            if pod["spec"].get("nodeName"):
                starts.marks.mark("scheduled")
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                starts.marks.mark("containers run")


def _lost_while_away(place: Place) -> float:
    """Lines of a cell that do not come when the Lab's process ends and another attaches 3 s later."""
    kernel = Kernel(kernelspecs.name_of(place.route.target))
    numbers = Numbers.of(place, kernel)
    kernel.client.execute("import time\nfor i in range(120): print(f'<{i}>', flush=True); time.sleep(0.05)")
    numbers.until(20)
    manager = numbers.in_a_new_process(place, str(kernel.manager.kernel_id), away_s=3.0)
    numbers.until(120)
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
    """From the deletion of a pod, as the API has it, to the sentence that the kernel has ended."""
    took = []
    for _ in range(EVENTS):
        kernel = Kernel(kernelspecs.name_of(place.route.target))
        bridge = place.remote.bridges[str(kernel.manager.kernel_id)]
        host = bridge.link.route
        name = next(
            each["metadata"]["name"]
            for each in cluster.pods(NAMESPACE)
            if each["metadata"]["annotations"].get("genops-lab/host-id") == host.host_id
        )
        cluster.kubectl("-n", NAMESPACE, "delete", "pod", name, "--wait=false", "--grace-period=5")
        begun = time.perf_counter()
        took.append(until(_ended(bridge)) - begun)
        assert isinstance(place.do(PROVIDER.observe(host)), Gone)
        kernel.close()
    return figure(
        "pod_end_told", "s", took, target=2.0, notes={"measured": "from the API's answer to a deletion"}
    )


def _ended(bridge: RemoteKernelClient) -> Callable[[], bool]:
    return lambda: bridge.state.state == "ended"


def _many(cluster: Cluster, place: Place, own: threading.Thread) -> Iterator[Line]:
    config = msgspec.structs.replace(place.route.config, node_selector="pool=none")
    place.route = msgspec.structs.replace(place.route, config=config)
    with waiting_hosts(place, PROVIDER, PODS, Resources()):
        line = cost_of_waiting("pods_waiting", PODS)
        yield figure(
            "pods_waiting_watches", "watches", [_watches(cluster) - own.is_alive()], target=2,
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
