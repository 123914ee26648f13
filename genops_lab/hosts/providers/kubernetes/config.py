"""The configuration of a Kubernetes target: a namespace, and what each kernel's pod gets."""

from __future__ import annotations

from typing import Annotated, Literal

from ...configuration import HostConfig, option

#: The context that means: the service account of the pod that runs JupyterLab.
IN_CLUSTER = "in-cluster"
_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_QUANTITY = r"[0-9]+(\.[0-9]+)?([EPTGMk]i?|m)?"
_PAIR = r"[^=,\s]+=[^=,\s]*"
_SIZE_HINT = "Give a quantity of Kubernetes, such as 16Gi or 500Mi."
_NAME_HINT = "Give the name of an object in the namespace: a-z, 0-9, '-' and '.'."


def _list_of(item: str) -> str:
    return rf"\s*{item}(\s*,\s*{item})*\s*"


class KubernetesConfig(HostConfig, frozen=True, kw_only=True):
    """A namespace of a cluster, and the pod that each kernel gets. Sizes are quantities of Kubernetes; lists
    are separated by commas.

    ``pod_template`` is a manifest on this machine that each pod is built on; the fields here take precedence.
    """

    context: Annotated[
        str,
        option(
            "Context",
            f"A context of your kubeconfig. '{IN_CLUSTER}' is the service account of JupyterLab's own pod.",
            required=True,
            pattern=r"[^\x00-\x1f\x7f]+",
            noun="a context",
            hint="List your contexts: kubectl config get-contexts",
        ),
    ] = ""
    namespace: Annotated[
        str,
        option(
            "Namespace",
            "Pods are created in this namespace.",
            required=True,
            pattern=r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
            noun="a namespace",
            hint="List namespaces: kubectl get namespaces",
        ),
    ] = "default"
    image: Annotated[
        str,
        option(
            "Image",
            "A container image with Python, ipykernel and /bin/sh. Empty: the image of the pod template.",
            pattern=r"[^\s\x00-\x1f\x7f]+",
            noun="an image",
            hint="Give an image such as registry.example.org/team/train:1.4.",
        ),
    ] = ""
    pod_template: Annotated[
        str,
        option(
            "Pod template",
            "A Pod manifest on this machine. The fields here take precedence.",
            advanced=True,
        ),
    ] = ""
    gpus: Annotated[
        int, option("GPUs", "The number of GPUs of each pod.", minimum=0, maximum=64, hint="Give 0 to 64.")
    ] = 0
    gpu_type: Annotated[
        str,
        option(
            "GPU type",
            "The value of the node label below, such as NVIDIA-H100-80GB-HBM3. Empty: any.",
            advanced=True,
            pattern=r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?",
            hint="List the types: kubectl get nodes -L nvidia.com/gpu.product",
        ),
    ] = ""
    gpu_label: Annotated[
        str, option("GPU label", "The node label that names the GPU type.", advanced=True)
    ] = "nvidia.com/gpu.product"
    gpu_resource: Annotated[
        str, option("GPU resource", "The resource that counts GPUs, such as amd.com/gpu.", advanced=True)
    ] = "nvidia.com/gpu"
    cpus: Annotated[
        float,
        option(
            "CPUs", "Requested CPU cores. 0: no request.", minimum=0, maximum=1024, hint="Give 0 to 1024."
        ),
    ] = 0.0
    memory: Annotated[
        str,
        option(
            "Memory",
            "Request and limit, such as 16Gi. Empty: none.",
            pattern=_QUANTITY,
            noun="a size",
            hint=_SIZE_HINT,
        ),
    ] = ""
    shared_memory: Annotated[
        str,
        option(
            "Shared memory",
            "The size of /dev/shm, for PyTorch's data loaders. It counts as memory of the pod.",
            advanced=True,
            pattern=_QUANTITY,
            noun="a size",
            hint=_SIZE_HINT,
        ),
    ] = ""
    ephemeral_storage: Annotated[
        str,
        option(
            "Ephemeral storage",
            "Request and limit of the node's disk. Empty: none.",
            advanced=True,
            pattern=_QUANTITY,
            noun="a size",
            hint=_SIZE_HINT,
        ),
    ] = ""
    hours: Annotated[
        float,
        option(
            "Hours",
            "Kubernetes ends the pod after this time. 0: no limit.",
            advanced=True,
            minimum=0,
            maximum=8760,
        ),
    ] = 0.0
    volumes: Annotated[
        str,
        option(
            "Volumes",
            "Claims and where they are mounted: data:/data, models:/models:ro",
            pattern=_list_of(r"[a-z0-9][-a-z0-9.]*:/[^,:\s]*(:r[ow])?"),
            noun="a list of volumes",
            hint="Write CLAIM:/PATH or CLAIM:/PATH:ro, separated by commas.",
        ),
    ] = ""
    home: Annotated[
        str,
        option(
            "Home",
            "The home folder in the pod. Empty: a new folder, which ends with the pod.",
            advanced=True,
            pattern=r"/[^\x00-\x1f\x7f]*",
            noun="a path",
            hint="Give an absolute path, such as one on a volume.",
        ),
    ] = ""
    journal_claim: Annotated[
        str,
        option(
            "Journal claim",
            "A claim that keeps outputs which had not arrived when a pod is lost. Empty: they are lost with it.",
            advanced=True,
            pattern=_NAME,
            hint=_NAME_HINT,
        ),
    ] = ""
    cache: Annotated[
        str,
        option(
            "Model cache",
            "A path on a volume that HF_HOME points to, so that models are downloaded once.",
            advanced=True,
            pattern=r"/[^\x00-\x1f\x7f]*",
            noun="a path",
            hint="Give an absolute path on one of the volumes.",
        ),
    ] = ""
    pull_secrets: Annotated[
        str,
        option(
            "Pull secrets",
            "Secrets of the namespace for the image's registry.",
            advanced=True,
            pattern=_list_of(_NAME),
            hint=_NAME_HINT,
        ),
    ] = ""
    node_selector: Annotated[
        str,
        option(
            "Node selector",
            "Labels that the node must have: pool=gpu, zone=a",
            advanced=True,
            pattern=_list_of(_PAIR),
            noun="a list of labels",
            hint="Write LABEL=VALUE, separated by commas.",
        ),
    ] = ""
    tolerations: Annotated[
        str,
        option(
            "Tolerations",
            "Taints that the pod tolerates: nvidia.com/gpu, spot=true:NoSchedule",
            advanced=True,
            pattern=_list_of(r"[^=:,\s]+(=[^=:,\s]*)?(:(NoSchedule|PreferNoSchedule|NoExecute))?"),
            noun="a list of tolerations",
            hint="Write KEY, KEY=VALUE or KEY=VALUE:NoSchedule, separated by commas.",
        ),
    ] = ""
    runtime_class: Annotated[str, option("Runtime class", advanced=True, pattern=_NAME, hint=_NAME_HINT)] = ""
    service_account: Annotated[
        str,
        option(
            "Service account",
            "The pod's own account. Empty: the pod gets no token.",
            advanced=True,
            pattern=_NAME,
            hint=_NAME_HINT,
        ),
    ] = ""
    priority_class: Annotated[
        str, option("Priority class", advanced=True, pattern=_NAME, hint=_NAME_HINT)
    ] = ""
    queue: Annotated[
        str,
        option(
            "Kueue queue",
            "The LocalQueue that admits the pods.",
            advanced=True,
            pattern=_NAME,
            hint=_NAME_HINT,
        ),
    ] = ""
    restricted: Annotated[
        bool,
        option(
            "Restricted",
            "No root, no capabilities, a read-only root file system: for namespaces with the restricted policy.",
            advanced=True,
        ),
    ] = False
    run_as: Annotated[
        int, option("User id", "0: the user of the image.", advanced=True, minimum=0, maximum=2147483647)
    ] = 0
    kubeconfig: Annotated[
        str, option("Kubeconfig", "A file on this machine. Empty: as kubectl finds it.", advanced=True)
    ] = ""
    connection: Annotated[
        Literal["auto", "websocket", "kubectl"],
        option(
            "Connection",
            "Automatic uses kubectl only where the kubeconfig needs it.",
            advanced=True,
            choice_labels={
                "auto": "Automatic",
                "websocket": "Built in (websocket)",
                "kubectl": "kubectl exec",
            },
            noun="a connection",
            hint="Choose auto, websocket or kubectl.",
        ),
    ] = "auto"


def words(text: str) -> list[str]:
    """Return the items of a list that commas separate."""
    return [item for each in text.split(",") if (item := each.strip())]
