"""The manifests that an administrator applies for a target: Role, RoleBinding, NetworkPolicy, values of a hub."""

from __future__ import annotations

from typing import Any

from .config import KubernetesConfig
from .errors import VERBS
from .manifest import APP, MANAGED_BY

#: The name of the account, the Role and its binding.
NAME = "genops-lab"


def manifests(config: KubernetesConfig, account: str = NAME) -> list[dict[str, Any]]:
    """Return the account of a Lab with the least rights that a target needs, in its namespace."""
    where = {"namespace": config.namespace, "labels": {MANAGED_BY: APP}}
    grouped: dict[str, list[str]] = {}
    for verb, resource, sub in VERBS:
        grouped.setdefault(f"{resource}/{sub}" if sub else resource, []).append(verb)
    rules = [{"apiGroups": [""], "resources": [name], "verbs": verbs} for name, verbs in grouped.items()]
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, **where}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": NAME, **where}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{NAME}-{account}" if account != NAME else NAME, **where},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": config.namespace}],
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
    ]


def hub_values(account: str = NAME) -> dict[str, Any]:
    """Return the values of Zero to JupyterHub for users whose Lab uses this account (context in-cluster)."""
    return {
        "singleuser": {
            "serviceAccountName": account,
            "networkPolicy": {"egress": [{"ports": [{"port": 443}, {"port": 6443}]}]},
        }
    }


def text_of(config: KubernetesConfig, account: str = NAME) -> str:
    """Return the manifests as YAML for ``kubectl apply -f -``. The values of a hub stand in a comment."""
    import yaml

    def block(value: Any) -> str:
        return str(yaml.safe_dump(value, sort_keys=False))

    values = "".join(f"#   {line}\n" for line in block(hub_values(account)).splitlines())
    note = (
        "# Values of Zero to JupyterHub, where this namespace is the hub's (the target's context is in-cluster):\n"
        f"{values}"
    )
    return note + "---\n" + "---\n".join(map(block, manifests(config, account)))
