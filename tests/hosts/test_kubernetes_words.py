"""What a pod's status and events become in words; the shapes are those of Kubernetes 1.20 to 1.37."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.providers.base import Gone, Pending, Resources, Running
from genops_lab.hosts.providers.kubernetes import manifest
from genops_lab.hosts.providers.kubernetes.config import KubernetesConfig
from genops_lab.hosts.providers.kubernetes.errors import error_of
from genops_lab.hosts.providers.kubernetes.explanation import observed, silent_node

CONFIG = KubernetesConfig(
    context="lab", namespace="team", image="team/train:1", memory="16Gi", gpus=2, queue="gpus"
)
DELETED = "It was deleted: by a person or a program, or because its node was drained."
NOW = 1796032800.0 + 60  # a minute after 10:00
RUNS = {"running": {"startedAt": "2026-11-30T10:00:00Z"}}


def a_pod(status: dict[str, Any], *states: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    made = manifest.pod(CONFIG, "cluster", "one", Resources())
    made["metadata"].update(uid="u1", resourceVersion="7", **metadata)
    statuses = [
        {"name": name, "state": state} for name, state in zip(("kernel", "journal"), states, strict=False)
    ]
    made["status"] = {"phase": "Running", **status, "containerStatuses": statuses}
    return made


def event(reason: str, message: str, uid: str = "u1") -> dict[str, Any]:
    at = f"2026-11-30T10:00:0{uid[1:]}Z"
    return {"reason": reason, "message": message, "uid": uid, "at": at}


def told(
    pod: dict[str, Any] | None,
    *events: dict[str, Any],
    namespace_ends: bool = False,
    last: dict[str, Any] | None = None,
) -> str:
    found = observed(pod, events, CONFIG, namespace_ends=namespace_ends, now=NOW, last=last)
    if isinstance(found, Pending):
        return f"pending: {found.reason}"
    return f"gone: {found.why}" if isinstance(found, Gone) else f"running: {found.over}"


SCHEDULED = {"conditions": [{"type": "PodScheduled", "status": "True"}], "phase": "Pending"}


def unscheduled(message: str) -> dict[str, Any]:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return a_pod({"phase": "Pending", "conditions": [condition]})


def disrupted(reason: str) -> dict[str, Any]:
    return {
        "phase": "Failed",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": reason}],
    }


@pytest.mark.parametrize(
    ("said", "pod", "events"),
    [
        (
            "pending: No node can take the pod: too little nvidia.com/gpu is free (2 requested); the taint spot is not "
            "tolerated. It starts when others end, or request less.",
            unscheduled(
                "0/9 nodes are available: 4 Insufficient nvidia.com/gpu, 5 node(s) had untolerated taint {spot: true}. "
                "preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling."
            ),
            [],
        ),
        (
            "pending: No node can take the pod: pod has unbound immediate PersistentVolumeClaims. Check the volumes of "
            "the target: kubectl get pvc.",
            unscheduled("0/1 nodes are available: 1 pod has unbound immediate PersistentVolumeClaims."),
            [],
        ),
        (
            "pending: A volume cannot be mounted: timed out waiting for the condition.",
            a_pod(SCHEDULED, {"waiting": {"reason": "ContainerCreating"}}),
            [event("FailedMount", "timed out waiting for the condition")],
        ),
        (
            "pending: The image team/train:1 cannot be pulled. Check its name and the pull secrets. unauthorized",
            a_pod(SCHEDULED, {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}),
            [event("Failed", "of an older pod", "u0"), event("Failed", "unauthorized")],
        ),
        ("running: ", a_pod({}, RUNS, RUNS), []),
        (
            "running: Its container ran out of memory (limit 16Gi) and was killed. Give the target more memory.",
            a_pod({}, {"terminated": {"reason": "OOMKilled", "exitCode": 137}}, RUNS),
            [],
        ),
        (
            "gone: Its container was killed (exit code 137).",
            a_pod({}, {"terminated": {"reason": "Error", "exitCode": 137}}, {"terminated": {"exitCode": 0}}),
            [],
        ),
        (
            "gone: Its node evicted it: The node was low on resource: ephemeral-storage.",
            a_pod(
                {
                    "phase": "Failed",
                    "reason": "Evicted",
                    "message": "The node was low on resource: ephemeral-storage. ",
                }
            ),
            [],
        ),
        (
            "gone: It was preempted by other/urgent, which has a higher priority.",
            a_pod({}, RUNS, RUNS, deletionTimestamp="2026-11-30T10:00:00Z"),
            [event("Preempted", "Preempted by other/urgent on node node1")],
        ),
        (
            "gone: It was preempted: a pod of higher priority needed its node.",
            a_pod(disrupted("PreemptionByScheduler")),
            [],
        ),
        ("gone: It was evicted: its node is being drained.", a_pod(disrupted("EvictionByEvictionAPI")), []),
        (
            "gone: Its node was lost: it no longer answers.",
            a_pod({"reason": "NodeLost", "phase": "Failed"}),
            [],
        ),
        (
            "gone: Its time was over (the Hours of the target).",
            a_pod({"reason": "DeadlineExceeded", "phase": "Failed"}),
            [],
        ),
        (
            "gone: Its node was lost or drained.",
            None,
            [event("TaintManagerEviction", "Marking for deletion Pod team/x")],
        ),
        (
            f"gone: {DELETED}",
            None,
            [event("Preempted", "of an older pod", "u0"), event("Killing", "Stopping", "u1")],
        ),
    ],
)
def test_a_state_is_a_sentence(said: str, pod: dict[str, Any] | None, events: list[dict[str, Any]]) -> None:
    assert told(pod, *events) == said


def test_a_namespace_that_ends_is_said() -> None:
    pod = a_pod({}, RUNS, RUNS, deletionTimestamp="2026-11-30T10:00:00Z")
    assert told(pod, namespace_ends=True) == "gone: The namespace team was deleted."


def test_a_pod_that_is_being_deleted_runs_on_within_its_grace() -> None:
    about = {"deletionTimestamp": "2026-11-30T10:01:20Z", "deletionGracePeriodSeconds": 30}
    leaving = a_pod({**disrupted("EvictionByEvictionAPI"), "phase": "Running"}, RUNS, RUNS, **about)
    found = observed(leaving, [], CONFIG, namespace_ends=False, now=NOW)
    why = "It was evicted: its node is being drained."
    notice = f"Kubernetes is about to end this pod. {why}"
    assert found == Running(over=why, ends_at=NOW + 20, notice=notice)
    assert observed(leaving, [], CONFIG, namespace_ends=False, now=NOW + 20) == Gone(why=why)
    ended = a_pod({}, {"terminated": {"exitCode": 143}}, RUNS, **about)
    assert told(ended) == f"gone: {DELETED}"
    own = a_pod({}, RUNS, RUNS, **{**about, "deletionGracePeriodSeconds": 1})  # as a kernel's shutdown asks
    assert told(own) == f"gone: {DELETED}"
    namespace = observed(leaving, [], CONFIG, namespace_ends=True, now=NOW)
    assert isinstance(namespace, Running) and namespace.over == "The namespace team was deleted."


def test_a_pod_whose_node_was_lost_says_so_after_it_is_gone() -> None:
    silent = {"type": "Ready", "status": "False"}
    last = a_pod({"conditions": [silent]}, RUNS, RUNS)
    last["spec"]["nodeName"] = "node2"
    assert silent_node(last) == "node2" and told(last) == "running: "
    assert told(None, last=last) == "gone: Its node node2 was lost: it no longer answers."
    busy = {"conditions": [{**silent, "reason": "ContainersNotReady"}]}
    assert silent_node(a_pod(busy, RUNS, RUNS)) == ""


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (
            "kubernetes_quota",
            {"status": 403, "message": 'pods "x" is forbidden: exceeded quota: small, requested: pods=1'},
        ),
        (
            "kubernetes_pod_refused",
            {"status": 403, "message": 'admission webhook "rules" denied the request: no'},
        ),
        (
            "kubernetes_permission",
            {"status": 403, "message": 'pods is forbidden: User "u" cannot create resource "pods"'},
        ),
        ("kubernetes_login", {"status": 401, "message": "Unauthorized"}),
        ("kubernetes_unreachable", {"kind": "unreachable", "message": "refused"}),
        ("kubeconfig", {"kind": "config", "message": "no context"}),
    ],
)
def test_an_answer_is_an_error_with_a_hint(code: str, answer: dict[str, Any]) -> None:
    error = error_of({"kind": "api", **answer}, "cluster", CONFIG)
    assert isinstance(error, LinkError) and error.code == code and error.hint
    assert error.message.endswith(".")


def test_two_labs_and_users_have_different_names(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for user in ("ada", "Ada", "ada@example.org"):
        monkeypatch.setenv("JUPYTERHUB_USER", user)
        names |= {manifest.pod_name(target, "1" * 36) for target in ("a", "b")}
        assert manifest.selector("a").startswith(
            "app.kubernetes.io/managed-by=genops-lab,genops-lab/owner=ada"
        )
    assert len(names) == 6 and all(len(name) <= 63 for name in names)
    assert isinstance(observed(a_pod({}, RUNS, RUNS), [], CONFIG, namespace_ends=False, now=NOW), Running)


def test_a_running_pod_tells_its_end() -> None:
    assert observed(a_pod({}, RUNS, RUNS), [], CONFIG, namespace_ends=False, now=NOW) == Running()
    limited = manifest.pod(CONFIG, "cluster", "one", Resources(time_s=3600))
    limited["metadata"]["uid"] = "u1"
    limited["status"] = {**a_pod({}, RUNS, RUNS)["status"], "startTime": "2026-11-30T10:00:00Z"}
    found = observed(limited, [], CONFIG, namespace_ends=False, now=NOW)
    assert isinstance(found, Running) and found.ends_at == 1796036400.0 and not found.notice
    leaving = observed(
        a_pod({**disrupted("EvictionByEvictionAPI"), "phase": "Running"}, RUNS, RUNS),
        [],
        CONFIG,
        namespace_ends=False,
        now=NOW,
    )
    assert isinstance(leaving, Running) and leaving.notice.startswith("Kubernetes is about to end this pod")


def test_a_printed_manifest_is_a_template() -> None:
    config = msgspec.structs.replace(
        CONFIG,
        restricted=True,
        shared_memory="1Gi",
        volumes="data:/data",
        tolerations="nvidia.com/gpu",
        cache="/data/hf",
    )
    made = manifest.pod(config, "cluster", "one", Resources(gpus=4))
    assert manifest.pod(config, "cluster", "one", Resources(gpus=4), made) == made
    made["spec"]["containers"].append({"name": "logs", "image": "busybox"})
    made["spec"]["volumes"].append({"name": "scratch", "emptyDir": {}})
    again = manifest.pod(config, "cluster", "two", Resources(), made)
    assert [each["name"] for each in again["spec"]["containers"]] == ["kernel", "logs", "journal"]
    assert "scratch" in [each["name"] for each in again["spec"]["volumes"]]
