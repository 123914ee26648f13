"""Kernels in pods of a real Kubernetes: what cuts, kills and refusals do to them, and what users read."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from genops_lab.hosts.connection_check import ConnectionTest
from genops_lab.hosts.link import connection
from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.models import ReportStep
from genops_lab.hosts.providers.base import Gone, Pending, Resources, Running
from genops_lab.hosts.providers.kubernetes import role
from genops_lab.hosts.providers.kubernetes.errors import VERBS
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from genops_lab.hosts.records import TargetRecord
from tests.kernels.places import Place, a_kernel, a_place, wait
from tests.support.homes import Home
from tests.support.kubernetes import POD_USER, Cluster, a_cluster

pytestmark = pytest.mark.k8s
NS = "kernels"
LINES = 120


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with a_cluster() as found:
        found.namespace(NS)
        found.gpus(4)
        yield found


@pytest.fixture
def place(home: Home, cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    with a_place(home, cluster.route("cluster", NS, tmp_path)) as found:
        yield found


def configure(place: Place, **changed: Any) -> None:
    """From the next start on."""
    config = msgspec.structs.replace(place.route.config, **changed)
    place.route = msgspec.structs.replace(place.route, config=config)


def ask(place: Place, name: str, **resources: Any) -> Route:
    """A pod is requested."""
    return place.route.at(place.do(PROVIDER.allocate(place.route, name, Resources(**resources))))


def state(place: Place, host: Route) -> Any:
    return place.do(PROVIDER.observe(host))


def until_says(place: Place, host: Route, *words: str) -> str:
    """The reason of a pod that waits, once it has these words."""
    said: list[str] = []

    def look() -> bool:
        found = state(place, host)
        said.append(found.reason if isinstance(found, Pending) else repr(found))
        return all(word in said[-1] for word in words)

    try:
        wait(look)
    except AssertionError:
        pytest.fail(f"{words} not in: {said[-1]}")
    return said[-1]


def release(place: Place, *hosts: Route) -> None:
    for host in hosts:
        place.do(PROVIDER.release(host))


def pod_of(cluster: Cluster, host_id: str) -> dict[str, Any]:
    return next(
        each
        for each in cluster.pods(NS)
        if each["metadata"]["annotations"].get("genops-lab/host-id") == host_id
    )


def test_nothing_is_lost_when_the_api_server_is_killed(
    place: Place, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_TOLD_LOOK_S", 1000.0)  # the watch tells that the pod runs
    configure(place, restricted=True, run_as=POD_USER)
    with a_kernel(place) as kernel:
        reply, printed = kernel.run("import os; print(os.getuid(), os.path.expanduser('~'))")
        assert (reply["status"], printed) == ("ok", f"{POD_USER} /genops/home\n")
        code = f"import time\nfor i in range({LINES}): print(i, flush=True); time.sleep(0.05)"
        cell = kernel.client.execute(code)
        first = kernel.printed(cell)
        cluster.kill_api_server()
        _reply, rest = kernel.finish(cell)
        assert (first + rest).split() == [str(i) for i in range(LINES)]
        assert kernel.run("print(i)")[1].strip() == str(LINES - 1)
    wait(lambda: place.do(PROVIDER.list_hosts(place.route)) == [])


def test_the_last_output_comes_from_a_container_that_ran_out_of_memory(
    place: Place, cluster: Cluster
) -> None:
    configure(place, memory="300Mi")
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        # cgroup v1 kills one process; that the whole container is killed, as cgroup v2 does, is played.
        eater = "import sys; b = bytearray(900 << 20)"
        cell = kernel.client.execute(
            f"import subprocess, sys, time\nended = subprocess.run([sys.executable, '-c', {eater!r}])\n"
            "print('code', ended.returncode); time.sleep(600)"
        )
        printed = ""
        while "code -9" not in printed:
            message = kernel.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == cell and message["msg_type"] == "stream":
                printed += message["content"]["text"]
        place.do(place.remote.links.link(kernel.bridge.link.route).down())
        cluster.kill_container(pod_of(cluster, kernel_id), "kernel")
        host = kernel.bridge.link.route
        wait(lambda: isinstance(found := state(place, host), Running) and found.over)
        assert "ran out of memory (limit 300Mi)" in state(place, host).over
        place.do(kernel.bridge.link.up())
        wait(lambda: kernel.bridge.state.state == "ended", "the end was not told")
        assert "ran out of memory (limit 300Mi)" in kernel.bridge.state.reason
        # The same id asked for again, by a user's restart, is a new pod.
        old = pod_of(cluster, kernel_id)["metadata"]["uid"]
        ask(place, kernel_id)
        assert pod_of(cluster, kernel_id)["metadata"]["uid"] != old


def test_a_preempted_pod_says_by_what(place: Place, cluster: Cluster) -> None:
    cluster.apply(
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "urgent"},
            "value": 1000000,
            "description": "For a test.",
        }
    )
    with a_kernel(place, env={"GENOPS_GPUS": "3"}) as kernel:
        assert kernel.run("print(1)")[1] == "1\n"
        waiting = ask(place, "next", gpus=3)
        until_says(place, waiting, "too little nvidia.com/gpu is free (3 requested)")
        urgent = msgspec.structs.replace(place.route.config, priority_class="urgent")
        other = msgspec.structs.replace(place.route, target="urgent", config=urgent)
        host = other.at(place.do(PROVIDER.allocate(other, "first", Resources(gpus=3))))
        wait(lambda: isinstance(state(place, host), Running))
        old = kernel.bridge.link.route
        assert isinstance(found := state(place, old), Gone)
        assert found.why.startswith(f"It was preempted by {NS}/genops-first")
        release(place, waiting, host)


def test_each_wait_has_its_sentence(place: Place, cluster: Cluster) -> None:
    configure(place, image="localhost/nowhere:1")
    image = ask(place, "image")
    configure(place, image="localhost/busybox:1", node_selector="pool=none")
    selector = ask(place, "selector")
    configure(place, node_selector="", volumes="absent:/data")
    volume = ask(place, "volume")
    configure(place, volumes="")
    until_says(place, image, "localhost/nowhere:1 cannot be pulled")
    until_says(place, selector, "no node has the labels of the node selector")
    until_says(place, volume, "absent", "kubectl get pvc")
    release(place, image, selector, volume)
    assert isinstance(state(place, image), Gone)


def tested(place: Place) -> dict[str, ReportStep]:
    """The steps of a test of the target, up to its host."""
    steps: dict[str, ReportStep] = {}
    name = f"test-{secrets.token_hex(4)}"  # the pod of an earlier test may not be gone yet
    try:
        host = ask(place, name)
    except LinkError as error:
        return {
            error.step: ReportStep(step=error.step, state="failed", message=error.message, hint=error.hint)
        }
    link = place.remote.links.link(host)
    test = ConnectionTest(
        TargetRecord(route=host),
        link,
        place.remote.links.run,
        lambda step: steps.__setitem__(step.step, step),
    )
    import asyncio

    try:
        asyncio.run(test.run("released"))
    finally:
        place.do(link.down())
        release(place, host)
    return steps


def test_a_test_names_what_is_missing(place: Place, cluster: Cluster) -> None:
    steps = tested(place)
    assert {name for name, step in steps.items() if step.state == "failed"} == set(), steps
    assert steps["permissions"].state == steps["pod"].state == "ok"

    config = place.route.config
    configure(place, image="localhost/nowhere:1")
    assert "localhost/nowhere:1 cannot be pulled" in (step := tested(place)["pod"]).message and step.hint
    configure(place, image="localhost/busybox:1", service_account="absent")
    assert "absent" in (step := tested(place)["admission"]).message and "get sa" in step.hint
    configure(place, service_account="", context="nowhere")
    assert "nowhere" in (step := tested(place)["api"]).message and "get-contexts" in step.hint
    place.route = msgspec.structs.replace(place.route, config=config)

    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": NS}}
    cluster.apply({**quota, "spec": {"hard": {"pods": "0"}}})
    try:
        wait(
            lambda: (
                "pods" in cluster.kubectl("-n", NS, "get", "quota", "small", "-o", "jsonpath={.status.used}")
            )
        )
        assert (
            "used up" in (step := tested(place)["admission"]).message
            and "kubectl describe quota" in step.hint
        )
    finally:
        cluster.kubectl("-n", NS, "delete", "quota", "small")


def _account(cluster: Cluster, name: str, tmp_path: Path) -> Path:
    """A kubeconfig with the account's token."""
    secret = cluster.kubectl("-n", NS, "get", "sa", name, "-o", "jsonpath={.secrets[0].name}")
    token = base64.b64decode(
        cluster.kubectl("-n", NS, "get", "secret", secret, "-o", "jsonpath={.data.token}")
    ).decode()
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    file = tmp_path / f"{name}.kubeconfig"
    file.write_text(json.dumps(content))
    return file


def test_the_printed_role_is_all_that_a_target_needs(place: Place, cluster: Cluster, tmp_path: Path) -> None:
    config = place.route.config
    assert config.context == "x"
    cluster.apply(role.text_of(config))
    wait(lambda: cluster.kubectl("-n", NS, "get", "sa", role.NAME, "-o", "jsonpath={.secrets[0].name}"))
    configure(place, kubeconfig=str(_account(cluster, role.NAME, tmp_path)), connection="kubectl")
    with a_kernel(place) as kernel:
        assert kernel.run("print(6 * 7)")[1] == "42\n"
        assert kernel.bridge.link.state.carrier == "kubectl"
    wait(lambda: place.do(PROVIDER.list_hosts(place.route)) == [])

    rules = role.manifests(config)[1]
    for verb, resource, sub in (VERBS[0], VERBS[6]):
        name = f"{resource}/{sub}" if sub else resource
        less = json.loads(json.dumps(rules))
        rule = next(each for each in less["rules"] if each["resources"] == [name])
        rule["verbs"].remove(verb)
        cluster.apply(less)
        # The authorizer hears of it a moment later.
        deadline = time.monotonic() + 20
        while "permissions" not in (steps := tested(place)) or steps["permissions"].state != "failed":
            assert time.monotonic() < deadline, steps
        assert f"may not: {verb} {name} (namespace {NS})" in steps["permissions"].message
        assert "genops targets role cluster" in steps["permissions"].hint
