"""Free GPUs from what an account may read, and the rights that the printed role gives for it."""

from __future__ import annotations

from typing import Any

import pytest

from genops_lab.hosts.providers.base import Capacity, GpuKind
from genops_lab.hosts.providers.kubernetes import role
from genops_lab.hosts.providers.kubernetes.capacity import capacity, trimmed_node, trimmed_pod
from genops_lab.hosts.providers.kubernetes.config import KubernetesConfig

GPU, TYPE = "nvidia.com/gpu", "nvidia.com/gpu.product"


def quota(hard: str, used: str, **spec: Any) -> dict[str, Any]:
    name = f"requests.{GPU}"
    return {"spec": spec, "status": {"hard": {name: hard, "pods": "10"}, "used": {name: used}}}


def node(name: str, kind: str, gpus: int, **spec: Any) -> dict[str, Any]:
    status = {"allocatable": {GPU: str(gpus)}, "conditions": [{"type": "Ready", "status": "True"}]}
    full = {"metadata": {"name": name, "labels": {TYPE: kind}}, "spec": spec, "status": status}
    return trimmed_node(full, GPU, TYPE)


def pod(where: str, gpus: int, phase: str = "Running") -> dict[str, Any]:
    container = {"resources": {"limits": {GPU: str(gpus)}}}
    spec = {"nodeName": where, "containers": [container, {}], "initContainers": [container]}
    return trimmed_pod({"spec": spec, "status": {"phase": phase}}, GPU)


def local(pending: int, used: int) -> dict[str, Any]:
    flavor = {"name": "h100", "resources": [{"name": GPU, "total": str(used)}, {"name": "cpu", "total": "9"}]}
    status = {"pendingWorkloads": pending, "flavorsReservation": [flavor]}
    return {"spec": {"clusterQueue": "all"}, "status": status}


CLUSTER_QUEUE = {
    "spec": {
        "resourceGroups": [
            {
                "flavors": [
                    {"name": "h100", "resources": [{"name": GPU, "nominalQuota": "8"}]},
                    {"name": "a100", "resources": [{"name": GPU, "nominalQuota": 4, "borrowingLimit": "2"}]},
                ]
            },
            {"flavors": [{"name": "cpus", "resources": [{"name": "cpu", "nominalQuota": "100"}]}]},
        ]
    },
    "status": {
        "pendingWorkloads": 5,
        "flavorsReservation": [
            {"name": "h100", "resources": [{"name": GPU, "total": "3", "borrowed": "0"}]},
            {"name": "a100", "resources": [{"name": GPU, "total": "6", "borrowed": "2"}]},
        ],
    },
}
NODES = [
    node("n1", "H100", 8),
    node("n2", "H100", 8),
    node("n3", "A100", 4, unschedulable=True),
    node("n4", "", 0),
]
PODS = [pod("n1", 8), pod("n2", 3), pod("n2", 4, "Succeeded"), pod("", 2, "Pending")]


def read(queue: str = "", **known: Any) -> Capacity:
    objects = dict.fromkeys(("quotas", "local_queue", "cluster_queue", "nodes", "pods"))
    return capacity(GPU, queue, **{**objects, "flavors": {}, **known})


@pytest.mark.parametrize(
    ("found", "gpus", "waiting", "words"),
    [
        (read(), None, None, "may not list the nodes"),
        (read(quotas=[]), None, None, "may not list the nodes"),
        # The tightest quota of all pods counts; one for a priority class does not.
        (
            read(quotas=[quota("8", "3"), quota("1k", "3"), quota("1", "1", scopeSelector={"x": 1})]),
            [GpuKind(kind="", free=5, total=8)],
            None,
            "quota of the namespace",
        ),
        (
            read(nodes=NODES, pods=PODS),
            [
                GpuKind(kind="A100", free=0, total=4, on_one_host=0),
                GpuKind(kind="H100", free=5, total=16, on_one_host=5),
            ],
            1,
            "nodes of the cluster",
        ),
        (
            read(nodes=NODES[:1], pods=[], quotas=[quota("4", "3")]),
            [GpuKind(kind="H100", free=1, total=8, on_one_host=1)],
            0,
            "quota of the namespace",
        ),
        (
            read(
                "gpus", local_queue=local(2, 3), cluster_queue=CLUSTER_QUEUE, flavors={"h100": "NVIDIA-H100"}
            ),
            [GpuKind(free=0, total=4), GpuKind(kind="NVIDIA-H100", free=5, total=8)],
            5,
            "quota of queue gpus Free by flavor: h100 5 of 8, a100 0 of 4.",
        ),
        (read("gpus", local_queue=local(2, 3)), None, 2, "Its pods use 3."),
        (read("gpus"), None, None, "cannot be read"),
    ],
)
def test_what_is_free(found: Capacity, gpus: list[GpuKind] | None, waiting: int | None, words: str) -> None:
    assert (found.gpus, found.waiting) == (gpus, waiting)
    assert words in f"{found.source} {found.note}"


def test_the_role_has_rights_for_a_queue_and_for_nodes_only_where_they_are_wanted() -> None:
    def rights(*, queue: str = "", nodes: bool = False) -> set[str]:
        config = KubernetesConfig(context="lab", namespace="team", image="x", queue=queue)
        rules = [rule for each in role.manifests(config, nodes=nodes) for rule in each.get("rules", ())]
        return {
            f"{verb} {resource}.{group}"
            for rule in rules
            for verb in rule["verbs"]
            for resource in rule["resources"]
            for group in rule["apiGroups"]
        }

    plain = rights()
    assert "list resourcequotas." in plain and not any("kueue" in each for each in plain)
    assert rights(queue="gpus") - plain == {
        "list workloads.kueue.x-k8s.io",
        "watch workloads.kueue.x-k8s.io",
        "get localqueues.kueue.x-k8s.io",
        "get localqueues/pendingworkloads.visibility.kueue.x-k8s.io",
    }
    assert rights(nodes=True) - plain == {
        "list nodes.",
        "get clusterqueues.kueue.x-k8s.io",
        "get resourceflavors.kueue.x-k8s.io",
    }
    config = KubernetesConfig(context="lab", namespace="team", image="x")
    account, binding = (role.manifests(config, "lab-account", nodes=True)[at] for at in (0, -1))
    assert binding["subjects"][0]["name"] == account["metadata"]["name"] == "lab-account"
    assert "ClusterRole" in role.text_of(config, nodes=True)
