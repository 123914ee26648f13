"""The options of ``genops targets add`` for clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genops_lab.core.errors import InvalidRequest

Context = Annotated[
    str,
    typer.Option(
        "--kubernetes",
        metavar="CONTEXT",
        help="A context of your kubeconfig, or in-cluster. Each kernel gets a pod.",
    ),
]
Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAMESPACE", help="The namespace of the pods. Default: default.")
]
Image = Annotated[
    str, typer.Option("--image", metavar="IMAGE", help="The image of the pods, with Python and ipykernel.")
]
PodTemplate = Annotated[
    str, typer.Option("--pod-template", metavar="FILE", help="A Pod manifest that the pods are built on.")
]
Gpus = Annotated[int, typer.Option("--gpus", metavar="COUNT", min=0, help="The GPUs of each pod.")]


def fields(context: str, namespace: str, image: str, pod_template: str, gpus: int) -> dict[str, Any]:
    """Return the given fields of a Kubernetes target. Raises InvalidRequest for one without ``--kubernetes``."""
    given = {"namespace": namespace, "image": image, "pod_template": pod_template, "gpus": gpus}
    given = {name: value for name, value in given.items() if value}
    if given and not context:
        option = next(iter(given)).replace("_", "-")
        raise InvalidRequest(
            f"--{option} needs --kubernetes CONTEXT.",
            hint="List your contexts: kubectl config get-contexts",
        )
    if pod_template:
        given["pod_template"] = str(Path(pod_template).expanduser().resolve())
    return {"context": context, **given} if context else {}
