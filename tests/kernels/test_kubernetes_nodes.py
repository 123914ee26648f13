"""The bad days of pods on a real Kubernetes of two nodes: nodes that are silent, drained or gone, and what happens
to namespaces, contexts, tokens and Labs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from genops_lab.core.live import LiveHub
from genops_lab.hosts.async_connections import LoopConnections
from genops_lab.hosts.host_ends import HostEnds
from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Gone, Resources, Running
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from tests.kernels import places
from tests.kernels.places import Place, a_kernel, a_place, wait
from tests.support.homes import Home
from tests.support.kubernetes import Cluster, a_cluster

pytestmark = pytest.mark.k8s
COUNT = "import time\nfor i in range({}): print(i, flush=True); time.sleep({})"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as found, found.second_node():
        yield found


@pytest.fixture
def ns(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    return cluster.namespace(request.node.name.replace("_", "-")[:60].strip("-"))


def on(node: str, cluster: Cluster, ns: str, home: Home, folder: Path, **config: Any) -> Any:
    """A target whose pods run on this node."""
    given = {"node_selector": f"kubernetes.io/hostname={node}", **config}
    return a_place(home, cluster.route("cluster", ns, folder, **given))


def state(place: Place, host: Route) -> Any:
    return place.do(PROVIDER.observe(host))


def message(kernel: places.Running) -> str:
    """What the person reads of the connection."""
    return kernel.bridge.link.state.message


def cut_streams() -> None:
    """Kill the processes that carry streams."""
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile, also as a zombie
            if any("exec_child" in word for word in child.cmdline()):
                child.kill()


def test_a_drained_pod_tells_before_its_end(home: Home, cluster: Cluster, ns: str, tmp_path: Path) -> None:
    with on("node2", cluster, ns, home, tmp_path, grace_s=14) as place, a_kernel(place) as kernel:
        cell = kernel.client.execute(COUNT.format(600, 0.1))
        printed = kernel.printed(cell)
        host = kernel.bridge.link.route
        told: list[Running] = []

        async def drain() -> None:
            live = LiveHub()
            ends = HostEnds(
                LoopConnections(place.remote.links),
                live,
                lambda _: None,
                lambda *_: told.append(ends.of(host.ref)),
            )
            live.join("host-ends", lambda *_: None)  # a page with the notebook
            await ends.open()
            words = ("--force", "--delete-emptydir-data", "--ignore-daemonsets", "--timeout=60s")
            draining = asyncio.create_task(asyncio.to_thread(cluster.kubectl, "drain", "node2", *words))
            while not told:
                await asyncio.sleep(0.05)
            assert not draining.done() and kernel.bridge.state.state == "connected"
            await draining
            await ends.close()

        asyncio.run(asyncio.wait_for(drain(), 90))
        try:
            assert told[0].notice.startswith("Kubernetes is about to end this pod.") and told[0].ends_at
            wait(lambda: kernel.bridge.state.state == "ended", "the end was not told")
            assert "because its node was drained" in kernel.bridge.state.reason
            assert kernel.bridge.ended_by == "host"  # Jupyter starts no other one unasked
            printed += kernel.rest(cell)
            lines = printed.split()[: -1 if not printed.endswith("\n") else None]
            numbers = [each for each in lines if each.isdecimal()]
            assert numbers == [str(i) for i in range(len(numbers))]
            assert len(numbers) > 50  # it went on after the notice
            assert isinstance(state(place, host), Gone)
        finally:
            cluster.kubectl("uncordon", "node2")


def test_a_silent_node_is_said_and_its_kernel_goes_on(
    home: Home, cluster: Cluster, ns: str, tmp_path: Path
) -> None:
    lines = 300
    with on("node2", cluster, ns, home, tmp_path) as place, a_kernel(place) as kernel:
        cell = kernel.client.execute(COUNT.format(lines, 0.2))
        printed = kernel.printed(cell)
        host = kernel.bridge.link.route
        pod = cluster.pods(ns)[0]["metadata"]["uid"]
        cluster.cut("node2")
        try:
            wait(lambda: "The node node2 of the pod does not answer" in message(kernel), message(kernel))
            ready = ("get", "node", "node2", "-o", "jsonpath={.status.conditions[?(@.type=='Ready')].status}")
            wait(lambda: cluster.kubectl(*ready) == "Unknown", "the node is still ready")
            # What a person's second try, or another Lab, does: it is the same pod.
            place.do(PROVIDER.allocate(place.route, str(kernel.manager.kernel_id), Resources()))
            assert isinstance(state(place, host), Running)
            assert [each["metadata"]["uid"] for each in cluster.pods(ns)] == [pod]
        finally:
            cluster.cut("node2", mend=True)
        wait(lambda: kernel.bridge.state.state == "connected", message(kernel))
        _reply, rest = kernel.finish(cell, 120)
        assert (printed + rest).split() == [str(i) for i in range(lines)]
        assert kernel.bridge.link.state.state == "up" and message(kernel) == ""


def test_a_namespace_that_is_deleted_says_so(home: Home, cluster: Cluster, ns: str, tmp_path: Path) -> None:
    with on("node1", cluster, ns, home, tmp_path, grace_s=8) as place, a_kernel(place) as kernel:
        assert kernel.run("print(1)")[1] == "1\n"
        cluster.kubectl("delete", "ns", ns, "--wait=false")
        wait(lambda: kernel.bridge.state.state == "ended", "the end was not told")
        assert f"The namespace {ns} was deleted." in kernel.bridge.state.reason
        with pytest.raises(LinkError) as refused:
            place.do(PROVIDER.allocate(place.route, "next", Resources()))
        assert "another one" in refused.value.hint or "existing namespace" in refused.value.hint


def test_a_context_and_a_token_that_fail_are_said_and_mended(
    home: Home, cluster: Cluster, ns: str, tmp_path: Path
) -> None:
    file = tmp_path / "kubeconfig"
    whole = yaml.safe_load(cluster.kubeconfig.read_text())
    cluster.kubectl("-n", ns, "create", "sa", "person")
    cluster.kubectl(
        "-n", ns, "create", "rolebinding", "person", "--clusterrole=admin", f"--serviceaccount={ns}:person"
    )

    def with_token(secret: str) -> None:
        """A kubeconfig whose token ends with the secret that it is bound to."""
        cluster.kubectl("-n", ns, "create", "secret", "generic", secret)
        bound = ("--bound-object-kind=Secret", f"--bound-object-name={secret}")
        token = cluster.kubectl("-n", ns, "create", "token", "person", *bound).strip()
        file.write_text(json.dumps({**whole, "users": [{"name": "u", "user": {"token": token}}]}))

    def said_until(words: str) -> None:
        def cut_again() -> bool:
            if kernel.bridge.link.is_up:  # the API server remembers a token for 10 s
                cut_streams()
            return words in message(kernel)

        wait(cut_again, words)
        assert kernel.bridge.state.state == "disconnected"

    with_token("first")
    with on("node1", cluster, ns, home, tmp_path, kubeconfig=str(file)) as place, a_kernel(place) as kernel:
        cell = kernel.client.execute(COUNT.format(400, 0.1))
        printed = kernel.printed(cell)
        cluster.kubectl("-n", ns, "delete", "secret", "first")
        said_until("of context x does not accept the token of user u")
        with_token("second")
        wait(lambda: kernel.bridge.state.state == "connected", message(kernel))

        kept = file.read_text()
        file.write_text(kept.replace('"x"', '"renamed"'))
        said_until("There is no context x: the kubeconfig has only renamed")
        elsewhere = json.loads(kept)
        elsewhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.2:1"
        file.write_text(json.dumps(elsewhere))
        # Another cluster knows nothing of the pod: that does not make it gone.
        wait(lambda: "now leads to https://127.0.0.2:1" in message(kernel), message(kernel))
        file.write_text(kept)
        wait(lambda: kernel.bridge.state.state == "connected", message(kernel))
        _reply, rest = kernel.finish(cell, 120)
        assert (printed + rest).split() == [str(i) for i in range(400)]


def test_two_labs_share_a_namespace_and_not_their_pods(
    home: Home, cluster: Cluster, ns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on("node1", cluster, ns, home, tmp_path) as place:

        def as_user(name: str) -> list[str]:
            monkeypatch.setenv("JUPYTERHUB_USER", name)
            return [each.host_id for each in place.do(PROVIDER.list_hosts(place.route))]

        as_user("ada")
        ada = place.route.at(place.do(PROVIDER.allocate(place.route, "same-id", Resources())))
        assert as_user("bob") == []
        assert isinstance(state(place, ada), Gone)
        place.do(PROVIDER.release(ada))
        place.do(PROVIDER.allocate(place.route, "same-id", Resources()))
        assert len(cluster.pods(ns)) == 2
        assert as_user("bob") == as_user("ada") == ["same-id"]
        place.do(PROVIDER.release(ada))
        assert as_user("ada") == [] and as_user("bob") == ["same-id"]
        place.do(PROVIDER.release(ada))


def test_a_lab_on_another_machine_finds_the_kernel_of_a_killed_one(
    home: Home, cluster: Cluster, ns: str, tmp_path: Path
) -> None:
    with on("node1", cluster, ns, home, tmp_path / "a") as place:
        kernel_id = str((manager := place.manager()).kernel_id)
        manager.start_kernel()
        first = places.Running(place, manager)
        cell = first.client.execute(COUNT.format(100, 0.1))
        first.printed(cell)
        # The home as the other machine has it. This Lab never says goodbye, and its stream stays open.
        shutil.copytree(home.data, tmp_path / "moved", ignore=shutil.ignore_patterns("*.sock"))
        old, place.home = place.remote, Home(tmp_path / "moved-home")
        shutil.copytree(tmp_path / "moved", place.home.data, dirs_exist_ok=True)
        place.remote = place._new()
        place.remote.expect(kernel_id)
        try:
            with a_kernel(place, kernel_id) as kernel:
                assert kernel.run("print(i)")[1] == "99\n"
                assert len(cluster.pods(ns)) == 1
            wait(lambda: place.do(PROVIDER.list_hosts(place.route)) == [])
        finally:
            first.client.stop_channels()
            old.links.close()


def test_a_claim_keeps_what_had_not_arrived(home: Home, cluster: Cluster, ns: str, tmp_path: Path) -> None:
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteMany"]}
    about = {"storageClassName": "", "volumeName": ns}
    volume = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": ""}
    cluster.apply(
        {
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": ns},
            "spec": {**volume, "hostPath": {"path": str(tmp_path / "disk"), "type": "DirectoryOrCreate"}},
        }
    )  # fmt: skip
    cluster.apply(
        {
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "journals", "namespace": ns}, "spec": {**size, **about},
        }
    )  # fmt: skip
    with (
        on("node2", cluster, ns, home, tmp_path, journal_claim="journals") as place,
        a_kernel(place) as kernel,
    ):
        cell = kernel.client.execute(COUNT.format(100, 0.05) + "\ntime.sleep(600)")
        printed = kernel.printed(cell)
        host = kernel.bridge.link.route
        (pod,) = cluster.pods(ns)
        # The Lab is away while the kernel prints and its pod is taken away at once, as a lost spot node's is.
        place.do(kernel.bridge.link.down())
        name = pod["metadata"]["name"]
        wait(lambda: any(rb"99\n" in each.read_bytes() for each in (tmp_path / "disk").rglob("*.rec")))
        cluster.kubectl("-n", ns, "delete", "pod", name, "--force", "--grace-period=0")
        wait(lambda: isinstance(found := state(place, host), Running) and found.over)
        place.do(kernel.bridge.link.up())
        wait(lambda: kernel.bridge.state.state == "ended", message(kernel))
        assert "It was deleted" in kernel.bridge.state.reason
        numbers = [each for each in (printed + kernel.rest(cell)).split() if each.isdecimal()]
        assert numbers[:100] == [str(i) for i in range(100)]
    wait(lambda: cluster.pods(ns) == [])


def test_a_kernel_ends_with_its_node_and_what_was_lost_is_said(
    home: Home, cluster: Cluster, ns: str, tmp_path: Path
) -> None:
    with on("node2", cluster, ns, home, tmp_path) as place, a_kernel(place) as kernel:
        cell = kernel.client.execute(COUNT.format(6000, 0.1))
        kernel.printed(cell)
        cluster.cut("node2")
        cluster.kubectl("delete", "node", "node2", "--wait=false")
        # The controller looks at pods without nodes every 20 s, and waits another 40 s.
        wait(lambda: kernel.bridge.state.state == "ended", message(kernel), 150.0)
        reason = kernel.bridge.state.reason
        assert "The pod of cluster no longer exists" in reason
        assert "Its variables are lost, and what it printed since " in reason
        assert kernel.bridge.ended_by == "host" and cluster.pods(ns) == []
