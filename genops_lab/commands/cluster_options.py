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
Login = Annotated[
    str,
    typer.Option("--slurm", metavar="HOST", help="A login node of Slurm: as --ssh. Each kernel gets a job."),
]
Partition = Annotated[
    str,
    typer.Option(
        "--partition", metavar="PARTITION", help="The partition of the jobs. Default: the cluster's."
    ),
]
BatchScript = Annotated[
    str, typer.Option("--batch-script", metavar="FILE", help="A script of sbatch that the jobs begin with.")
]
Gpus = Annotated[int, typer.Option("--gpus", metavar="COUNT", min=0, help="The GPUs of each pod or job.")]

#: The kinds of targets that take each option.
_KINDS = {
    "namespace": ("kubernetes",),
    "image": ("kubernetes", "slurm"),
    "pod_template": ("kubernetes",),
    "partition": ("slurm",),
    "batch_script": ("slurm",),
    "gpus": ("kubernetes", "slurm"),
}
_NEEDS = {"kubernetes": "--kubernetes CONTEXT", "slurm": "--slurm HOST"}


def fields(kind: str, *, context: str, **options: str | int) -> dict[str, Any]:
    """Return the given fields of a cluster's target. Raises InvalidRequest for an option of another kind."""
    given: dict[str, Any] = {name: value for name, value in options.items() if value}
    for name in given:
        if kind not in _KINDS[name]:
            raise InvalidRequest(
                f"--{name.replace('_', '-')} needs {' or '.join(_NEEDS[each] for each in _KINDS[name])}.",
                hint="List the fields of each kind of target: genops targets kinds",
            )
    for file in {"pod_template", "batch_script"} & set(given):
        given[file] = str(Path(given[file]).expanduser().resolve())
    return {"context": context, **given} if context else given
