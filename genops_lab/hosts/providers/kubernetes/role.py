"""The manifests that an administrator applies for a target: Role, RoleBinding, NetworkPolicy, values of a hub."""

from __future__ import annotations

from typing import Any

from .config import KubernetesConfig
from .errors import VERBS
from .manifest import APP, MANAGED_BY

#: The name of the account, the Role and its binding.
NAME = "genops-lab"
#: The name of the ClusterRole by which free GPUs of nodes can be counted.
CAPACITY = "genops-lab-capacity"
_RBAC = "rbac.authorization.k8s.io"
_KUEUE = "kueue.x-k8s.io"


def manifests(config: KubernetesConfig, account: str = NAME, *, nodes: bool = False) -> list[dict[str, Any]]:
    """Return the account of a Lab with the least rights that a target needs, in its namespace.

    With ``nodes`` it may also read what tells which GPUs are free: nodes, pods and quotas of queues of the cluster.
    """
    where = {"namespace": config.namespace, "labels": {MANAGED_BY: APP}}
    grouped: dict[str, list[str]] = {}
    for verb, resource, sub in VERBS:
        grouped.setdefault(f"{resource}/{sub}" if sub else resource, []).append(verb)
    rules = [_rule("", name, *verbs) for name, verbs in grouped.items()]
    rules.append(_rule("", "resourcequotas", "list"))
    if config.queue:
        rules += [
            _rule(_KUEUE, "workloads", "list", "watch"),
            _rule(_KUEUE, "localqueues", "get"),
            _rule(f"visibility.{_KUEUE}", "localqueues/pendingworkloads", "get"),
        ]
    subject = {"kind": "ServiceAccount", "name": account, "namespace": config.namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, **where}},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": {"name": NAME, **where}, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{NAME}-{account}" if account != NAME else NAME, **where},
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": NAME},
            "subjects": [subject],
        },
        {
            # Nothing needs to reach a kernel's pod: commands and files pass through the API server.
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"{NAME}-pods", **where},
            "spec": {
                "podSelector": {"matchLabels": {MANAGED_BY: APP}},
                "policyTypes": ["Ingress"],
                "ingress": [],
            },
        },
        *(_cluster_wide(config, subject) if nodes else ()),
    ]


def _rule(group: str, resource: str, *verbs: str) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}


def _cluster_wide(config: KubernetesConfig, subject: dict[str, str]) -> list[dict[str, Any]]:
    rules = [
        _rule("", "nodes", "list"),
        _rule("", "pods", "list"),
        _rule(_KUEUE, "clusterqueues", "get"),
        _rule(_KUEUE, "resourceflavors", "get"),
    ]
    labels = {MANAGED_BY: APP}
    name = f"{CAPACITY}-{config.namespace}-{subject['name']}"
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": CAPACITY, "labels": labels},
            "rules": rules,
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name, "labels": labels},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": CAPACITY},
            "subjects": [subject],
        },
    ]


def hub_values(account: str = NAME) -> dict[str, Any]:
    """Return the values of Zero to JupyterHub for users whose Lab uses this account (context in-cluster)."""
    return {
        "singleuser": {
            "serviceAccountName": account,
            "networkPolicy": {"egress": [{"ports": [{"port": 443}, {"port": 6443}]}]},
        }
    }


def text_of(config: KubernetesConfig, account: str = NAME, *, nodes: bool = False) -> str:
    """Return the manifests as YAML for ``kubectl apply -f -``. The values of a hub stand in a comment."""
    import yaml

    def block(value: Any) -> str:
        return str(yaml.safe_dump(value, sort_keys=False))

    values = "".join(f"#   {line}\n" for line in block(hub_values(account)).splitlines())
    note = (
        "# Values of Zero to JupyterHub, where this namespace is the hub's (the target's context is in-cluster):\n"
        f"{values}"
    )
    return note + "---\n" + "---\n".join(map(block, manifests(config, account, nodes=nodes)))
