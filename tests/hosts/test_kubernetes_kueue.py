"""What Kueue's Workload, conditions and events become in words; messages as Kueue's main of August 2026 has them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from genops_lab.hosts.providers.base import Gone, Pending, Resources
from genops_lab.hosts.providers.kubernetes import kueue, manifest
from genops_lab.hosts.providers.kubernetes.config import KubernetesConfig
from genops_lab.hosts.providers.kubernetes.errors import not_queued
from genops_lab.hosts.providers.kubernetes.explanation import observed

CONFIG = KubernetesConfig(context="lab", namespace="team", image="team/train:1", gpus=2, queue="gpus")
FITS_NOT = (
    "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu in flavor h100, 2 more "
    "needed, untolerated taint {spot val NoSchedule <nil>} in flavor spot, flavor cheap doesn't match node affinity"
)
PREEMPTED = (
    "Preempted to accommodate a workload (UID: 1, JobUID: 2) due to reclamation within the cohort; preemptor path: "
    "/a; preemptee path: /b"
)


def a_pod(**status: Any) -> dict[str, Any]:
    made = manifest.pod(CONFIG, "cluster", "one", Resources())
    made["metadata"].update(uid="u1", resourceVersion="7")
    made["status"] = {"phase": "Pending", **status}
    return made


def gated() -> dict[str, Any]:
    """As an API server from 1.27 on returns it."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    pod = a_pod(conditions=[condition])
    pod["spec"]["schedulingGates"] = [{"name": kueue.GATE}]
    return pod


def condition(name: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"type": name, "status": status, "reason": reason, "message": message}


def workload(*conditions: dict[str, Any], active: bool = True, **status: Any) -> dict[str, Any]:
    return kueue.trimmed(
        {
            "metadata": {"name": "pod-x"},
            "spec": {"active": active, "podSets": [{"name": "main"}]},
            "status": {"conditions": list(conditions), **status},
        }
    )


RESERVED = condition("QuotaReserved", "True", "QuotaReserved")
LATER = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 200_000))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Kueue has not admitted the pod yet (queue gpus).", None),
        (
            "Kueue has no quota for the pod: too little nvidia.com/gpu is free in flavor h100; the taint spot of "
            "flavor spot is not tolerated; flavor cheap does not fit the node selector (queue gpus).",
            workload(condition("QuotaReserved", "False", "Pending", FITS_NOT)),
        ),
        (
            "Kueue has no quota for the pod: flavor h100 has less nvidia.com/gpu in all (4) than is requested (queue "
            "gpus).",
            workload(
                condition(
                    "QuotaReserved",
                    "False",
                    "ExceedsMaxQuota",
                    "couldn't assign flavors to pod set main: insufficient quota for nvidia.com/gpu in flavor h100, "
                    "previously considered podsets requests (0) + current podset request (8) > maximum capacity (4)",
                )
            ),
        ),
        (
            "Kueue ends workloads of lower priority to make room (queue gpus).",
            workload(
                condition("QuotaReserved", "False", "Pending", "... Pending the preemption of 1 workload(s)")
            ),
        ),
        (
            "The LocalQueue gpus does not exist.",
            workload(
                condition("QuotaReserved", "False", "Inadmissible", "LocalQueue gpus doesn't exist"),
            ),
        ),
        (
            "The ClusterQueue all is stopped.",
            workload(condition("QuotaReserved", "False", "Suspended", "ClusterQueue all is stopped")),
        ),
        (
            "Its quota in queue gpus is reserved. The admission check nodes is not done: Waiting for nodes.",
            workload(
                RESERVED,
                admissionChecks=[
                    {"name": "nodes", "state": "Pending", "message": "Waiting for nodes."},
                ],
            ),
        ),
        (
            "The admission check nodes failed and is repeated: no capacity in zone a.",
            workload(
                condition("QuotaReserved", "False"),
                admissionChecks=[{"name": "nodes", "state": "Retry", "message": "no capacity in zone a"}],
            ),
        ),
        (
            "Kueue evicted it: it was not ready in time. It is queued again at",
            workload(
                condition("Evicted", "True", "PodsReadyTimeout"),
                condition("QuotaReserved", "False", "Pending", "Exceeded the PodsReady timeout"),
                requeueState={"count": 1, "requeueAt": LATER},
            ),
        ),
        (
            "The pod's workload in Kueue is deactivated: The workload is deactivated. Start the kernel again.",
            workload(
                condition("Evicted", "True", "Deactivated", "The workload is deactivated"), active=False
            ),
        ),
        ("Kueue has admitted the pod (queue gpus).", workload(RESERVED, condition("Admitted", "True"))),
    ],
)
def test_a_wait_has_its_reason(said: str, found: dict[str, Any] | None) -> None:
    waits = observed(
        gated(), [], CONFIG, namespace_ends=False, now=0.0, queued={"workload": found, "position": None}
    )
    assert isinstance(waits, Pending) and waits.reason.startswith(said), waits
    asked = found is None or RESERVED not in found["conditions"]
    assert waits.reason.endswith("The position is not known.") is asked
    placed = observed(
        gated(), [], CONFIG, namespace_ends=False, now=0.0, queued={"workload": found, "position": 3}
    )
    assert isinstance(placed, Pending) and placed.position == 3 and "position" not in placed.reason


@pytest.mark.parametrize(
    ("said", "reason", "message"),
    [
        (
            "Kueue preempted it: another queue of the cohort took back quota that it had lent.",
            "WorkloadEvictedDueToPreempted",
            PREEMPTED,
        ),
        ("Kueue evicted it: it was not ready in time.", "WorkloadEvictedDueToPodsReadyTimeout", "Exceeded"),
        (
            "Kueue ended it: its time was over (the maximum execution time of its workload).",
            "WorkloadEvictedDueToDeactivatedDueToMaximumExecutionTimeExceeded",
            "The workload is deactivated due to exceeding the maximum execution time",
        ),
        ("Kueue evicted it: an administrator stopped its queue.", "", "The LocalQueue is stopped"),
        ("Kueue stopped it: missing workload.", "NoMatchingWorkload", "missing workload"),
    ],
)
def test_a_pod_that_kueue_ends_says_why(said: str, reason: str, message: str) -> None:
    pod = a_pod(phase="Running", conditions=[condition("TerminationTarget", "True", reason, message)])
    pod["metadata"]["deletionTimestamp"] = "2026-11-30T10:00:00Z"
    assert observed(pod, [], CONFIG, namespace_ends=False, now=0.0) == Gone(why=said)
    # Once it is gone, its event is left.
    event = {"reason": "Stopped", "message": message, "uid": "u1", "at": "2026-11-30T10:00:00Z"}
    left = observed(None, [event], CONFIG, namespace_ends=False, now=0.0)
    assert isinstance(left, Gone) and left.why.startswith("Kueue ")


def test_a_queue_that_holds_no_pod_is_an_error() -> None:
    def said(**found: Any) -> str:
        error = not_queued(CONFIG, "gpus", **found)
        return f"{error.message} {error.hint}" if error else ""

    assert kueue.has_taken(gated()) and not kueue.has_taken(a_pod())
    assert "the cluster has no Kueue" in said(gated=False, kueue=False, queue_exists=None)
    assert "managedJobsNamespaceSelector" in said(gated=False, kueue=True, queue_exists=True)
    assert "no LocalQueue gpus" in said(gated=True, kueue=True, queue_exists=False)
    assert said(gated=True, kueue=True, queue_exists=None) == ""  # the account may not read queues


def test_claims_and_gangs_of_a_template_are_sent_as_they_are() -> None:
    claims = [{"name": "gpu", "resourceClaimTemplateName": "one-h100"}]
    template = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"kueue.x-k8s.io/pod-group-name": "g", "scheduling.x-k8s.io/pod-group": "g"}},
        "spec": {
            "schedulerName": "gangs",
            "resourceClaims": claims,
            "containers": [{"name": "kernel", "image": "x", "resources": {"claims": [{"name": "gpu"}]}}],
        },
    }
    config = KubernetesConfig(context="lab", namespace="team", memory="1Gi")
    made = manifest.pod(config, "cluster", "one", Resources(), template)
    assert made["spec"]["resourceClaims"] == claims and made["spec"]["schedulerName"] == "gangs"
    kernel = made["spec"]["containers"][0]["resources"]
    assert kernel["claims"] == [{"name": "gpu"}] and kernel["limits"] == {"memory": "1Gi"}
    assert template["metadata"]["labels"].items() <= made["metadata"]["labels"].items()
    # A server that does not know a field answers without it.
    assert manifest.dropped(made, made) == []
    old = {**made, "spec": {k: v for k, v in made["spec"].items() if k != "resourceClaims"}}
    assert manifest.dropped(made, old) == ["resourceClaims"]
