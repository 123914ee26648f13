"""Kernels in a queue of Kueue, on a real Kubernetes. Kueue is played: ``tests/support/kueue_player.py`` says what."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Gone, Pending, Resources, Running
from genops_lab.hosts.providers.kubernetes import role
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from tests.kernels.places import Place, a_kernel, a_place, wait
from tests.support.homes import Home
from tests.support.kubernetes import Cluster, a_cluster
from tests.support.kueue_player import GROUP, VERSION, Player, a_kueue, workload_of

pytestmark = pytest.mark.k8s
NS = "queued"
FITS_NOT = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h100, "
    "{} more needed"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as found:
        found.namespace(NS)
        yield found


@pytest.fixture(scope="module")
def player(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    """From the first test that wants it on: those before have a cluster without Kueue."""
    with a_kueue(cluster, tmp_path_factory.mktemp("kueue")) as found:
        yield found


@pytest.fixture
def place(home: Home, cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with a_place(home, cluster.route("cluster", NS, tmp_path, queue="gpus")) as found:
        yield found


def ask(place: Place, name: str) -> Route:
    """A pod is requested."""
    return place.route.at(place.do(PROVIDER.allocate(place.route, name, Resources())))


def state(place: Place, host: Route) -> Any:
    return place.do(PROVIDER.observe(host))


def pod_of(cluster: Cluster, host_id: str) -> dict[str, Any]:
    """The pod of a host, once its Workload is there."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [
            each
            for each in cluster.pods(NS)
            if each["metadata"]["annotations"].get("genops-lab/host-id") == host_id
            and any(one["type"] == "PodScheduled" for one in each["status"].get("conditions") or [])
        ]
        return bool(found)

    wait(look)
    return found[0]


def may(cluster: Cluster, verb: str, resource: str) -> bool:
    """Whether the account of the printed role may do this, as the API server sees it by now."""
    who = f"--as=system:serviceaccount:{NS}:{role.NAME}"
    return cluster.kubectl("auth", "can-i", verb, resource, "-n", NS, who, check=False).strip() == "yes"


def until_waits(place: Place, host: Route, *words: str, position: int | None) -> None:
    """The pod waits with these words and this place."""
    seen: list[Any] = []

    def look() -> bool:
        seen.append(state(place, host))
        last = seen[-1]
        return (
            isinstance(last, Pending)
            and last.position == position
            and all(word in last.reason for word in words)
        )

    try:
        wait(look)
    except AssertionError:
        pytest.fail(f"not {words} at {position}: {seen[-1]}")


def refused(place: Place) -> str:
    """What the first step of a test of the target says; empty where nothing is wrong."""
    name = "test-1"
    try:
        host = ask(place, name)
    except LinkError as error:
        assert error.step == "admission", error
        return f"{error.message} {error.hint}"
    place.do(PROVIDER.release(host))
    return ""


def test_a_cluster_without_kueue_or_claims(place: Place) -> None:
    assert "the cluster has no Kueue" in refused(place)
    template = Path(place.route.config.pod_template)
    made = yaml.safe_load(template.read_text())
    made["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "one"}]
    template.write_text(yaml.safe_dump(made))
    assert "The API server dropped spec.resourceClaims of the pod template" in refused(place)


def test_a_test_says_whether_kueue_gates_the_pods(place: Place, cluster: Cluster, player: Player) -> None:
    assert "no LocalQueue gpus" in refused(place)
    cluster.apply(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "LocalQueue",
            "metadata": {"name": "gpus", "namespace": NS},
            "spec": {"clusterQueue": "all"},
        }
    )
    assert "managedJobsNamespaceSelector" in refused(place)
    player.managed.add(NS)
    assert refused(place) == ""


def test_a_wait_has_its_reason_and_position(
    place: Place, cluster: Cluster, player: Player, tmp_path: Path
) -> None:
    first, second = ask(place, "first"), ask(place, "second")
    pods = [pod_of(cluster, name) for name in ("first", "second")]
    player.order[:] = [workload_of(each) for each in pods]
    for number, pod in enumerate(pods):
        player.waits(pod, "Pending", FITS_NOT.format(number + 1))
    words = "too little nvidia.com/gpu is free in flavor h100 (queue gpus)."
    until_waits(place, first, words, position=1)
    until_waits(place, second, words, position=2)

    # The printed role is enough for both; without Kueue's part the wait is told all the same.
    config = place.route.config
    account = cluster.account(role.text_of(config), NS, tmp_path)
    wait(lambda: may(cluster, "watch", f"workloads.{GROUP}"))
    least = msgspec.structs.replace(config, kubeconfig=str(account))
    until_waits(place, msgspec.structs.replace(first, config=least), words, position=1)
    cluster.apply(role.text_of(msgspec.structs.replace(config, queue="")))
    wait(lambda: not may(cluster, "watch", f"workloads.{GROUP}"))
    other = tmp_path / "other.kubeconfig"  # a process of its own, which asks anew
    shutil.copy(account, other)
    blind = msgspec.structs.replace(first, config=msgspec.structs.replace(config, kubeconfig=str(other)))
    wait(
        lambda: (
            isinstance(found := state(place, blind), Pending)
            and found.position is None
            and found.reason == "Kueue has not admitted the pod yet (queue gpus). The position is not known."
        )
    )

    player.admits(pods[0])
    wait(lambda: isinstance(state(place, first), Running))
    until_waits(place, second, words, position=1)
    place.do(PROVIDER.release(second))
    place.do(PROVIDER.release(first))
    wait(lambda: not cluster.pods(NS), "Kueue's finalizer is left")


def test_free_gpus_are_what_the_account_may_read(
    place: Place, cluster: Cluster, player: Player, tmp_path: Path
) -> None:
    gpu = "nvidia.com/gpu"
    cluster.gpus(4)
    config = msgspec.structs.replace(place.route.config, queue="")

    def free(rights: str, **changed: Any) -> tuple[dict[str, int] | None, int | None]:
        """The kinds and their free GPUs, and what waits, as an account with these rights reads it."""
        folder = tmp_path / str(len(list(tmp_path.iterdir())))  # a process of its own, which asks anew
        folder.mkdir()
        account = cluster.account(rights, NS, folder)
        seen = msgspec.structs.replace(config, kubeconfig=str(account), **changed)
        found = place.do(PROVIDER.capacity(msgspec.structs.replace(place.route, config=seen), connect=True))
        kinds = None if found.gpus is None else {each.kind: each.free for each in found.gpus}
        return kinds, found.waiting

    plain = role.text_of(config)
    queued = msgspec.structs.replace(config, queue="gpus")
    assert free(plain) == (None, None)
    wait(lambda: free(role.text_of(config, nodes=True)) == ({"": 4}, 0))
    kind = "NVIDIA-H100-80GB-HBM3"
    cluster.apply(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ResourceFlavor",
            "metadata": {"name": "h100"},
            "spec": {"nodeLabels": {"nvidia.com/gpu.product": kind}},
        }
    )
    flavor = {"name": "h100", "resources": [{"name": gpu, "nominalQuota": 8}]}
    cluster.apply(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ClusterQueue",
            "metadata": {"name": "all"},
            "spec": {
                "namespaceSelector": {},
                "resourceGroups": [{"coveredResources": [gpu], "flavors": [flavor]}],
            },
        }
    )
    used = {"name": "h100", "resources": [{"name": gpu, "total": "3"}]}
    status = {
        "pendingWorkloads": 2,
        "admittedWorkloads": 1,
        "reservingWorkloads": 1,
        "flavorsReservation": [used],
    }
    queues = f"/apis/{GROUP}/{VERSION}"
    player.merge(f"{queues}/namespaces/{NS}/localqueues/gpus/status", {"status": status})
    player.merge(f"{queues}/clusterqueues/all/status", {"status": {**status, "pendingWorkloads": 5}})
    wait(lambda: free(role.text_of(queued, nodes=True), queue="gpus") == ({kind: 5}, 5))
    cluster.kubectl("delete", "clusterrolebinding", f"{role.CAPACITY}-{NS}-{role.NAME}")
    wait(lambda: free(role.text_of(queued), queue="gpus") == (None, 2))
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "gpus", "namespace": NS}}
    cluster.apply({**quota, "spec": {"hard": {f"requests.{gpu}": "2"}}})
    try:
        wait(lambda: free(role.text_of(queued), queue="gpus") == ({"": 2}, 2))
    finally:
        cluster.kubectl("-n", NS, "delete", "quota", "gpus")


def test_a_preempted_kernel_says_so_and_starts_only_when_asked(
    place: Place, cluster: Cluster, player: Player
) -> None:
    player.admitted_at_once = True
    with a_kernel(place) as kernel:
        host, kernel_id = kernel.bridge.link.route, str(kernel.manager.kernel_id)
        assert kernel.run("x = 1; print('kept')")[1] == "kept\n"
        pod = pod_of(cluster, kernel_id)
        player.preempts(pod)
        wait(lambda: isinstance(state(place, host), Gone))
        why = "Kueue preempted it: a workload of higher priority in its ClusterQueue needed the quota."
        assert state(place, host) == Gone(why=why)
        wait(lambda: kernel.bridge.state.state == "ended", "the end was not told")
        assert why in kernel.bridge.state.reason
        # Kueue would admit a pod at once: none is made until a person restarts the kernel.
        wait(lambda: not cluster.pods(NS), "the pod is left")
        assert state(place, host) == Gone(why=why)
        assert place.do(PROVIDER.list_hosts(place.route)) == []
        again = ask(place, kernel_id)
        wait(lambda: isinstance(state(place, again), Running))
        assert pod_of(cluster, kernel_id)["metadata"]["uid"] != pod["metadata"]["uid"]
