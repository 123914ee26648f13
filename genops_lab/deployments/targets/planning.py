"""Compare the desired with the observed state of a deployment whose revisions are processes behind a gateway."""

from __future__ import annotations

from genops_lab.deployments.https import Https
from genops_lab.deployments.record import CallerKey
from genops_lab.deployments.scaling import Scale

from .base import Changes, DeploymentSpec, Observed, Revision, Step


def planned(spec: DeploymentSpec, observed: Observed) -> Changes:
    """Return the steps to the desired state."""
    found = observed.revision(spec.revision)
    steps: list[Step] = []
    if not spec.wanted and observed.weights:
        steps.append("unroute")
    if any(each.active and not _goes_on(spec, each) for each in observed.revisions):
        steps.append("stop")
    if spec.wanted and found is None:
        steps += ["place", "start"]
    elif spec.wanted and found is not None:
        if found.state == "preparing" or (not found.active and found.generation < spec.since):
            steps.append("start")
        elif found.active and spec.lease_until > found.lease_until:
            steps.append("renew")
    if spec.wanted and spec.weights is not None and _routing(spec, observed) != _routed(observed):
        steps.append("route")
    return Changes(steps=tuple(steps))


#: Weights, keys, scale and the port for other machines.
Routing = tuple[dict[int, int], tuple[CallerKey, ...], Scale, Https | None]


def _goes_on(spec: DeploymentSpec, revision: Revision) -> bool:
    return bool(spec.wanted) and revision.number in (spec.revision, *spec.beside)


def _routing(spec: DeploymentSpec, observed: Observed) -> Routing:
    """Return the weights of the processes that are ready, the keys, the scale and the port, as they should be."""
    ready = [each.number for each in observed.revisions if each.state == "running" and _goes_on(spec, each)]
    return {each: (spec.weights or {}).get(each, 0) for each in ready}, spec.keys, spec.scale, spec.https


def _routed(observed: Observed) -> Routing:
    return dict(observed.weights), observed.keys, observed.scale, observed.tls
