"""``genops targets role``."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.service import TargetsService

from .completion import target_names
from .document import Document, Lines
from .session import Json, command


def show_role(
    name: Annotated[
        str, typer.Argument(metavar="TARGET", help="A Kubernetes target.", autocompletion=target_names)
    ],
    account: Annotated[
        str, typer.Option("--account", metavar="NAME", help="The service account that gets the role.")
    ] = "genops-lab",
    nodes: Annotated[
        bool, typer.Option("--nodes", help="Add a ClusterRole that lets GenOps Lab count free GPUs.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the Role that a Kubernetes target needs.

    The output is for kubectl apply -f -. It has a ServiceAccount, a RoleBinding and a NetworkPolicy too.
    """
    with command(json) as session:
        found = session.call(TargetsService.get_target, name=name)
        from genops_lab.hosts.providers import route_of
        from genops_lab.hosts.providers.kubernetes import role
        from genops_lab.hosts.providers.kubernetes.config import KubernetesConfig

        if found.kind != "kubernetes":
            raise InvalidRequest(
                f"{name} is no Kubernetes target.", hint="List your targets: genops targets list"
            )
        config = route_of(name, found.kind, **found.config).config
        assert isinstance(config, KubernetesConfig)
        text = role.text_of(config, account, nodes=nodes)
        data = {
            "manifests": role.manifests(config, account, nodes=nodes),
            "hub_values": role.hub_values(account),
        }
        session.show(data, Document([Lines(text.splitlines())]))
