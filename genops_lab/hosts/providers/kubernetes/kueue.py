"""Tell in words what Kueue does with a pod: why it waits, its place, why it was stopped. Pure functions.

The shapes are those of ``kueue.x-k8s.io`` v1beta1 and v1beta2. Newer versions give a reason of their own for each
wait; older ones say ``Pending`` for all, and the message tells the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...link.errors import outside_words

GATE = "kueue.x-k8s.io/admission"
#: Kueue's webhook sets this label together with the gate.
MANAGED = "kueue.x-k8s.io/managed"
#: The condition of a pod that Kueue is about to delete.
STOPPED = "TerminationTarget"

_NO_POSITION = "The position is not known."
_WAITS = {
    "PendingEvaluation": "Kueue has not looked at the pod yet",
    "NoMatchingFlavor": "No flavor of the queue fits the pod's node selector and tolerations",
    "WaitingForPreemptedWorkloads": "Kueue ends workloads of lower priority to make room",
    "WaitingForPodsReady": "Kueue first waits until the pods that it has admitted are ready",
    "Waiting": "Kueue first waits until the pods that it has admitted are ready",
    "TopologyPlacementFailed": "No place fits the topology that the pod requests",
    "AdmissionGated": "An annotation (admission-gated-by) holds the pod's workload",
    "OnHold": "The pod's workload is on hold",
}
_NO_QUEUE = {"doesn't exist": "does not exist", "is inactive": "is inactive", "is stopped": "is stopped"}
_STOPS = {
    "PodsReadyTimeout": "Kueue evicted it: it was not ready in time.",
    "AdmissionCheck": "Kueue evicted it: an admission check no longer holds.",
    "ClusterQueueStopped": "Kueue evicted it: an administrator stopped its ClusterQueue.",
    "LocalQueueStopped": "Kueue evicted it: an administrator stopped its queue.",
    "NodeFailures": "Kueue evicted it: its node failed.",
    "MaximumExecutionTimeExceeded": "Kueue ended it: its time was over (the maximum execution time of its workload).",
    "RequeuingLimitExceeded": "Kueue deactivated its workload: it had been queued again too often.",
    "FlavorMigration": "Kueue evicted it to move its workload to another flavor.",
    "Deactivated": "Its Kueue workload was deactivated.",
    "WorkloadDeleted": "Its Kueue workload was deleted.",
}
#: Of older versions, and of an event, only the message is known.
_MESSAGES = {
    "PodsReady timeout": "PodsReadyTimeout",
    "admission check": "AdmissionCheck",
    "ClusterQueue is stopped": "ClusterQueueStopped",
    "LocalQueue is stopped": "LocalQueueStopped",
    "maximum execution time": "MaximumExecutionTimeExceeded",
    "is deactivated": "Deactivated",
    "Workload is deleted": "WorkloadDeleted",
}
_PREEMPTIONS = {
    "prioritization in the ClusterQueue": "a workload of higher priority in its ClusterQueue needed the quota",
    "reclamation within the cohort": "another queue of the cohort took back quota that it had lent",
    "Fair Sharing": "fair sharing gave its quota to another queue of the cohort",
}


def is_gated(pod: Mapping[str, Any]) -> bool:
    """Return whether a scheduling gate holds the pod."""
    if (pod.get("spec") or {}).get("schedulingGates"):
        return True
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated" for each in conditions
    )


def has_taken(pod: Mapping[str, Any]) -> bool:
    """Return whether Kueue's webhook has marked a pod that was created, or a trial one."""
    gates = (pod.get("spec") or {}).get("schedulingGates") or []
    labels = pod["metadata"].get("labels") or {}
    return any(each.get("name") == GATE for each in gates) or labels.get(MANAGED) == "true"


# The wait


def why_it_waits(queue: str, found: Mapping[str, Any] | None) -> str:
    """Return why Kueue holds a pod of this queue; ``found`` has its ``workload`` and ``position``, if known."""
    workload = (found or {}).get("workload")
    said = _state(queue, workload) if workload else f"Kueue has not admitted the pod yet (queue {queue})."
    known = (found or {}).get("position") is not None or (workload and _is(workload, "QuotaReserved"))
    return said if known else f"{said} {_NO_POSITION}"


def _state(queue: str, workload: Mapping[str, Any]) -> str:
    if _is(workload, "Admitted"):
        return f"Kueue has admitted the pod (queue {queue})."
    if workload.get("active") is False:
        evicted = _message(_condition(workload, "Evicted"))
        return f"The pod's workload in Kueue is deactivated{f': {evicted}' if evicted else ''}. Start the kernel again."
    for check in workload.get("checks") or []:
        if check.get("state") != "Ready" and (
            _is(workload, "QuotaReserved") or check.get("state") in ("Retry", "Rejected")
        ):
            return _check(queue, check)
    if _is(workload, "QuotaReserved"):
        return f"Its quota in queue {queue} is reserved. Kueue has not admitted the pod yet."
    again = _clock((workload.get("requeue") or {}).get("requeueAt"))
    if again and _is(workload, "Evicted"):
        why = stopped(str(_condition(workload, "Evicted").get("reason")), "").removesuffix(".")
        return f"{why}. It is queued again at {again}."
    condition = _condition(workload, "QuotaReserved")
    said = _no_quota(str(condition.get("reason") or ""), str(condition.get("message") or ""))
    return f"{said}." if said.endswith(tuple(_NO_QUEUE.values())) else f"{said} (queue {queue})."


def _check(queue: str, check: Mapping[str, Any]) -> str:
    name, said = check.get("name"), _message(check)
    said = f": {said}" if said else ""
    if check.get("state") == "Rejected":
        return f"The admission check {name} refused the pod{said}."
    if check.get("state") == "Retry":
        return f"The admission check {name} failed and is repeated{said}."
    return f"Its quota in queue {queue} is reserved. The admission check {name} is not done{said}."


def _no_quota(reason: str, message: str) -> str:
    absent = re.search(rf"(LocalQueue|ClusterQueue) (\S+) ({'|'.join(_NO_QUEUE)})", message)
    if absent:
        return f"The {absent[1]} {absent[2]} {_NO_QUEUE[absent[3]]}"
    if reason in _WAITS:
        return _WAITS[reason]
    if "reemption of" in message:
        return _WAITS["WaitingForPreemptedWorkloads"]
    causes = [
        f"too little {name} is free in flavor {flavor}"
        for name, flavor in re.findall(r"insufficient unused quota for (\S+) in flavor ([^\s,]+)", message)
    ]
    causes += [
        f"flavor {flavor} has less {name} in all ({most}) than is requested"
        for name, flavor, most in re.findall(
            r"insufficient quota for (\S+) in flavor ([^\s,]+), .*?maximum capacity \(([^)]*)\)", message
        )
    ]
    causes += [
        f"the taint {taint} of flavor {flavor} is not tolerated"
        for taint, flavor in re.findall(
            r"untolerated taint \{(\w[^ :}]*)[^}]*\} in flavor ([^\s,]+)", message
        )
    ]
    causes += [
        f"flavor {flavor} does not fit the node selector"
        for flavor in re.findall(r"flavor (\S+) doesn't match node affinity", message)
    ]
    if not causes and message:
        plain = re.sub(r"^couldn't assign flavors to pod set \S+: ", "", message)
        causes = [outside_words(plain, 160).rstrip(".")]
    named = "; ".join(dict.fromkeys(causes))
    return f"Kueue has no quota for the pod{f': {named}' if named else ''}"


# The end


def why_it_was_stopped(pod: Mapping[str, Any]) -> str:
    """Return why Kueue deletes the pod; empty where it does not."""
    for each in (pod.get("status") or {}).get("conditions") or []:
        if each.get("type") == STOPPED and each.get("status") == "True":
            return stopped(str(each.get("reason") or ""), _message(each))
    return ""


def stopped(reason: str, message: str) -> str:
    """Return the sentence for the reason and the message with which Kueue stopped a pod."""
    if "Preempted" in reason or message.startswith("Preempted to accommodate"):
        why = next(
            (words for each, words in _PREEMPTIONS.items() if each in message),
            "another workload needed its quota",
        )
        return f"Kueue preempted it: {why}."
    # "WorkloadEvictedDueToDeactivatedDueTo..." names the more exact reason last.
    exact = max((name for name in _STOPS if name in reason), key=reason.rfind, default="")
    exact = exact or next((name for each, name in _MESSAGES.items() if each in message), "")
    if exact:
        return _STOPS[exact]
    said = outside_words(message or reason, 160).rstrip(".")
    return f"Kueue stopped it: {said}."


# Helpers


def trimmed(workload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the sentences need of a Workload: it may have megabytes."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    return {
        "name": workload["metadata"]["name"],
        "active": spec.get("active", True),
        "conditions": status.get("conditions") or [],
        "checks": status.get("admissionChecks") or [],
        "requeue": status.get("requeueState") or {},
    }


def _condition(workload: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next((each for each in workload.get("conditions") or [] if each.get("type") == name), {})


def _is(workload: Mapping[str, Any], name: str) -> bool:
    return _condition(workload, name).get("status") == "True"


def _message(condition: Mapping[str, Any]) -> str:
    return outside_words(str(condition.get("message") or ""), 200).rstrip(".")


def _clock(at: str | None) -> str:
    """Return a time in this machine's zone, with the day where that is not today; empty once it is over."""
    then = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() if at else 0.0
    if then <= time.time():
        return ""
    today = time.localtime()[:3] == time.localtime(then)[:3]
    return time.strftime("%H:%M" if today else "%d %b %Y %H:%M", time.localtime(then))
