"""Tell a pod's state in a sentence: why it waits, why it is gone. Pure functions on the API's objects.

Sentences stay the same while the state is the same, so they name no counts that change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...link.errors import outside_words
from ..base import Gone, Observed, Pending, Running
from . import kueue
from .config import KubernetesConfig
from .manifest import JOURNAL, KERNEL, QUEUE

Pod = dict[str, Any]
Event = dict[str, Any]

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")
_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
_NO_SHELL = ("StartError", "ContainerCannotRun")
_STARTS = "The pod is being started."
_DELETED = "It was deleted: by a person or a program, or because its node was drained."
#: Kubernetes' grace for a deletion that asks for no notice, such as our own release of a pod.
_NO_NOTICE_S = 2
#: The API's reasons of a disruption (condition DisruptionTarget, or the pod's own), in words.
_DISRUPTIONS = {
    "PreemptionByScheduler": "It was preempted: a pod of higher priority needed its node.",
    "PreemptionByKubeScheduler": "It was preempted: a pod of higher priority needed its node.",
    "Preempting": "It was preempted: a pod of higher priority needed its node.",
    "DeletionByTaintManager": "Its node was lost or drained (a NoExecute taint).",
    "EvictionByEvictionAPI": "It was evicted: its node is being drained.",
    "DeletionByPodGC": "Its node no longer exists.",
    "NodeLost": "Its node was lost: it no longer answers.",
    "DeadlineExceeded": "Its time was over (the Hours of the target).",
}


def container_of(pod: Pod) -> str:
    """Return the container to run commands in, once the pod runs: the kernel's, or that of its journal."""
    return KERNEL if _kernel(pod) and _terminated(pod) is None else JOURNAL


def is_over(pod: Pod) -> bool:
    """Return whether the kernel's container has ended for good: the pod can only serve its journal."""
    return (
        "deletionTimestamp" in pod["metadata"]
        or _terminated(pod) is not None
        or _phase(pod) in ("Failed", "Succeeded")
    )


def observed(
    pod: Pod | None,
    events: Sequence[Event],
    config: KubernetesConfig,
    *,
    namespace_ends: bool,
    now: float,
    last: Pod | None = None,
    queued: Mapping[str, Any] | None = None,
) -> Observed:
    """Return the state of a pod. ``events`` are those of its name; ``last`` is a pod that is gone, as it was
    seen last; ``queued`` is what Kueue says of it; ``now`` is in seconds since 1970."""
    namespace = f"The namespace {config.namespace} was deleted." if namespace_ends else ""
    if pod is None:
        return Gone(why=namespace or _why_gone(last, events))
    own = [each for each in events if each.get("uid") == pod["metadata"]["uid"]]
    if "deletionTimestamp" in pod["metadata"]:
        why = namespace or _disruption(pod, own) or _DELETED
        ends_at = _ends_with_notice(pod)
        if ends_at is None or ends_at <= now:
            return Gone(why=why)
        return Running(over=why, ends_at=ends_at, notice=f"Kubernetes is about to end this pod. {why}")
    terminated = _terminated(pod)
    if _phase(pod) in ("Failed", "Succeeded"):
        return Gone(why=_disruption(pod, own) or _end_of(pod, terminated))
    if terminated is not None:
        runs = any(
            each.get("name") == JOURNAL and "running" in (each.get("state") or {}) for each in _statuses(pod)
        )
        why = _disruption(pod, own) or _end_of(pod, terminated)
        return Running(over=why) if runs else Gone(why=why)
    if _state(pod, "running") is not None:
        return Running(ends_at=_deadline(pod), notice=_notice(pod))
    queue = (pod["metadata"].get("labels") or {}).get(QUEUE)
    if queue and kueue.is_gated(pod):
        said = outside_words(kueue.why_it_waits(queue, queued))
        return Pending(reason=said, position=(queued or {}).get("position"))
    return Pending(reason=outside_words(_waiting(pod, own)))


def has_journal(pod: Pod) -> bool:
    """Return whether the kernel's container of a pod has run."""
    return _state(pod, "running") is not None or _terminated(pod) is not None


def read_by(reader: Pod, events: Sequence[Event], config: KubernetesConfig, why: str) -> Observed:
    """Return the state of a host whose pod is gone, because of ``why``, and whose journal ``reader`` serves."""
    if is_over(reader):
        return Gone(why=why)
    journal = next((each for each in _statuses(reader) if each.get("name") == JOURNAL), {})
    if "running" in (journal.get("state") or {}):
        return Running(over=why)
    own = [each for each in events if each.get("uid") == reader["metadata"]["uid"]]
    waits = outside_words(_waiting(reader, own))
    return Pending(
        reason=f"The pod is gone: {why} Its last outputs are read from {config.journal_claim}. {waits}"
    )


def _why_gone(last: Pod | None, events: Sequence[Event]) -> str:
    newest = max(events, key=lambda each: str(each.get("at") or ""), default={})
    uid = newest.get("uid") if last is None else last["metadata"]["uid"]
    why = _disruption(last, [each for each in events if each.get("uid") == uid])
    if not why and last is not None and (node := silent_node(last)):
        why = f"Its node {node} was lost: it no longer answers."
    return why or _DELETED


def silent_node(pod: Pod) -> str:
    """Return the node of a pod, which runs as far as is known, if the node does not answer Kubernetes; else an
    empty text."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready: dict[str, Any] = next((each for each in conditions if each.get("type") == "Ready"), {})
    # The controller of nodes sets the status alone. The node itself gives a reason (ContainersNotReady).
    silent = ready.get("status") == "False" and not ready.get("reason") and _state(pod, "running") is not None
    return str((pod.get("spec") or {}).get("nodeName") or "") if silent else ""


def _ends_with_notice(pod: Pod) -> float | None:
    """Return when the grace of a pod ends that is being deleted, in seconds since 1970; None for one whose
    kernel does not run, or whose deletion gives no notice."""
    about = pod["metadata"]
    if _state(pod, "running") is None or int(about.get("deletionGracePeriodSeconds") or 0) <= _NO_NOTICE_S:
        return None
    return _seconds(about["deletionTimestamp"])


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def _deadline(pod: Pod) -> float | None:
    """Return when Kubernetes ends the pod for its time, in seconds since 1970; None for a pod without a limit."""
    seconds, began = pod["spec"].get("activeDeadlineSeconds"), (pod.get("status") or {}).get("startTime")
    if not seconds or not began:
        return None
    return _seconds(began) + float(seconds)


def _notice(pod: Pod) -> str:
    """Return that the pod, which still runs, is about to be taken away; empty without such a notice."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    if not any(
        each.get("type") == "DisruptionTarget" and each.get("status") == "True" for each in conditions
    ):
        return ""
    return "Kubernetes is about to end this pod: another pod needs its place, or its node is drained."


def cannot_start(pod: Pod) -> bool:
    """Return whether a pod waits for something that no other pod's end brings: its image, its configuration."""
    reason = (_state(pod, "waiting") or {}).get("reason")
    return reason in _IMAGE or reason in _CONTAINER


def _phase(pod: Pod) -> str:
    return str((pod.get("status") or {}).get("phase") or "")


def _statuses(pod: Pod) -> list[dict[str, Any]]:
    return list((pod.get("status") or {}).get("containerStatuses") or [])


def _state(pod: Pod, name: str) -> dict[str, Any] | None:
    found = next((each for each in _statuses(pod) if each.get("name") == KERNEL), {})
    state = (found.get("state") or {}).get(name)
    return dict(state) if state is not None else None


def _terminated(pod: Pod) -> dict[str, Any] | None:
    return _state(pod, "terminated")


def _kernel(pod: Pod) -> dict[str, Any]:
    return next((each for each in pod["spec"]["containers"] if each["name"] == KERNEL), {})


# The end


def _disruption(pod: Pod | None, events: Sequence[Event]) -> str:
    """Return why the cluster took the pod away; empty where it did not."""
    if said := kueue.why_it_was_stopped(pod or {}):
        return said
    status = (pod or {}).get("status") or {}
    reasons = [str(status.get("reason") or "")]
    reasons += [
        str(each.get("reason"))
        for each in status.get("conditions") or []
        if each.get("type") == "DisruptionTarget" and each.get("status") == "True"
    ]
    for reason in reasons:
        if reason == "Evicted":
            said = outside_words(str(status.get("message") or "its node ran out of memory or disk")).rstrip(
                "."
            )
            return f"Its node evicted it: {said}."
        if reason in _DISRUPTIONS:
            return _DISRUPTIONS[reason]
        if reason.startswith(("OutOf", "UnexpectedAdmissionError", "NodeAffinity")):
            return f"Its node refused it: {outside_words(str(status.get('message') or reason)).rstrip('.')}."
    for event in reversed(events):
        said = outside_words(str(event.get("message") or ""))
        if event.get("reason") == "Preempted":
            by = re.search(r"by (\S+)", said, re.IGNORECASE)
            return (
                f"It was preempted by {by[1]}, which has a higher priority."
                if by
                else _DISRUPTIONS["Preempting"]
            )
        if event.get("reason") == "Stopped":  # of Kueue alone
            return kueue.stopped("", said)
        if event.get("reason") == "Evicted":
            return f"Its node evicted it: {said.rstrip('.')}."
        if event.get("reason") == "TaintManagerEviction":
            return "" if "Cancel" in said else "Its node was lost or drained."
    return ""


def _end_of(pod: Pod, terminated: dict[str, Any] | None) -> str:
    if terminated is None:
        return "It has ended."
    reason, code = terminated.get("reason"), terminated.get("exitCode")
    if reason == "OOMKilled":
        limit = ((_kernel(pod).get("resources") or {}).get("limits") or {}).get("memory")
        size = f" (limit {limit})" if limit else ""
        return f"Its container ran out of memory{size} and was killed. Give the target more memory."
    if reason in _NO_SHELL or code == 128:
        said = outside_words(str(terminated.get("message") or "")).rstrip(".")
        return f"Its container cannot start, and the image may have no /bin/sh: {said}."
    if code in (137, 143):
        how = "killed" if code == 137 else "asked to end"
        return f"Its container was {how} (exit code {code})."
    return f"Its container ended with exit code {code}."


# The wait


def _waiting(pod: Pod, events: Sequence[Event]) -> str:
    conditions = {each.get("type"): each for each in (pod.get("status") or {}).get("conditions") or []}
    scheduled = conditions.get("PodScheduled") or {}
    if kueue.is_gated(pod):
        return "A scheduling gate holds the pod."
    if scheduled.get("status") == "False":
        return _unschedulable(str(scheduled.get("message") or ""), pod)
    if scheduled.get("status") != "True":
        return _STARTS
    node = (pod.get("spec") or {}).get("nodeName") or "its node"
    waiting = _state(pod, "waiting") or {}
    reason, said = str(waiting.get("reason") or ""), _said(waiting.get("message"))
    image = _kernel(pod).get("image")
    if reason in _IMAGE:
        cause = next(
            (_said(each["message"]) for each in reversed(events) if each.get("reason") == "Failed"), said
        )
        return f"The image {image} cannot be pulled. Check its name and the pull secrets. {cause}"
    if reason in _CONTAINER:
        return f"The container cannot be created: {said or reason}."
    for event in reversed(events):
        text = _said(event.get("message"))
        if event.get("reason") in ("FailedMount", "FailedAttachVolume"):
            return f"A volume cannot be mounted: {text}."
        if event.get("reason") == "FailedCreatePodSandBox":
            return f"{node} cannot start the pod: {text}."
        if event.get("reason") == "Pulling":
            return f"{node} pulls the image {image}."
        if event.get("reason") in ("Pulled", "Created", "Started", "Scheduled"):
            break
    return _STARTS


def _said(message: object) -> str:
    return outside_words(str(message or ""), 160).rstrip(".")


def _unschedulable(message: str, pod: Pod) -> str:
    _nodes, _, listed = message.partition(": ")
    if not listed:
        return f"No node can take the pod: {_said(message)}." + _hint(message)
    listed = re.split(r"\.?\s*preemption:", listed)[0]
    causes = [re.sub(r"^\d+ ", "", each.strip().rstrip(".")) for each in re.split(r", (?=\d+ )", listed)]
    named = list(dict.fromkeys(_cause(each, pod) for each in causes))
    return f"No node can take the pod: {'; '.join(named)}.{_hint(listed)}"


def _cause(text: str, pod: Pod) -> str:
    if text.startswith("Insufficient "):
        name = text.removeprefix("Insufficient ")
        limits = (_kernel(pod).get("resources") or {}).get("limits") or {}
        requests = (_kernel(pod).get("resources") or {}).get("requests") or {}
        return f"too little {name} is free ({limits.get(name) or requests.get(name) or 'some'} requested)"
    taint = re.search(r"taint \{([^}:]*)", text)
    if taint is not None:
        return f"the taint {taint[1]} is not tolerated"
    if "selector" in text or ("affinity" in text and "volume" not in text):
        return "no node has the labels of the node selector"
    if "were unschedulable" in text:
        return "nodes are cordoned"
    return text.replace("node(s)", "nodes")


def _hint(text: str) -> str:
    if "ersistent" in text and "olume" in text:
        return " Check the volumes of the target: kubectl get pvc."
    if "Insufficient" in text:
        return " It starts when others end, or request less."
    if "taint" in text:
        return " Give the target a toleration."
    if "selector" in text or "affinity" in text:
        return " Check the node selector and the GPU type."
    return ""
