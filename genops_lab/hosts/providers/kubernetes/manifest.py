"""Build a kernel's pod: names, labels, containers. Pure functions on plain values."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

from ..base import Resources
from .config import KubernetesConfig, words
from .errors import TemplateUnusable

MANAGED_BY, APP = "app.kubernetes.io/managed-by", "genops-lab"
OWNER, TARGET, HOST = "genops-lab/owner", "genops-lab/target", "genops-lab/host"
QUEUE = "kueue.x-k8s.io/queue-name"
KERNEL, JOURNAL = "kernel", "journal"
#: The emptyDir that the kernel's container and the one of its journal share.
FOLDER = "/genops"
#: As Kubernetes' own. The kernel goes on within it, but for the last seconds, in which its agent ends it.
_GRACE_S, _LAST_S = 30, 6
#: The journal's container ends when the kernel's container has not counted for this many pauses.
_PAUSE_S, _MOST_PAUSES = 20, 30
_READER = "-j"
#: The kernel's container ends when it has had no process and no kernel for this many pauses: nobody attends it.
_UNUSED_PAUSES = 45

# Process 1 of the kernel's container. A shell's wait reaps every process that is left to it. The counter tells
# the journal's container that this one lives. `kill -1` reaches all processes of this container alone, because
# its shell is process 1 only in a process namespace of its own. The first number is the seconds of notice. A pod that
# has had a kernel stays, because its journal may have what no Lab has yet.
HOLD = (
    'mkdir -p "$HOME"; n=0; u=0; '
    "trap 'sleep %d & wait $!; [ $$ = 1 ] && kill -TERM -1 2>/dev/null; sleep 3 & wait $!; exit 143' TERM INT; "
    f"while :; do n=$((n+1)); echo $n > {FOLDER}/alive; sleep {_PAUSE_S} & wait $!; "
    f"set -- /proc/[0-9]*; if [ $$ = 1 ] && [ -d /proc/1 ] && [ $# = 1 ] && [ ! -d {FOLDER}/state/kernels ]; "
    f"then u=$((u+1)); else u=0; fi; [ $u -lt {_UNUSED_PAUSES} ] || exit 0; done"
)
SERVE = (
    "last=; same=0; trap 'exit 0' TERM INT; "
    f"while [ $same -lt {_MOST_PAUSES} ]; do sleep {_PAUSE_S} & wait $!; n=; "
    f'[ -f {FOLDER}/alive ] && read n < {FOLDER}/alive; if [ "$n" = "$last" ]; then same=$((same+1)); '
    "else same=0; last=$n; fi; done"
)
# exec takes no shell: this one goes home and expands `~/`.
ENTER = 'cd "$HOME" || cd /; p=$1; shift; case $p in "~/"*) p=$HOME/${p#??};; esac; exec "$p" "$@"'


def owner() -> str:
    """Return this user's label: a hub's user, or the login name, with a hash of the exact name."""
    name = os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    return f"{_slug(name, 40)}-{_digest(name, 8)}"


def pod_name(target: str, host_id: str) -> str:
    """Return the pod's name, the same for the same user, target and host."""
    return f"genops-{_slug(host_id, 40)}-{_digest(f'{owner()}/{target}/{host_id}', 10)}"


def labels(target: str, host_id: str = "") -> dict[str, str]:
    """Return the labels of a target's pods, or of one of them."""
    found = {MANAGED_BY: APP, OWNER: owner(), TARGET: _label(target)}
    return {**found, HOST: _label(host_id)} if host_id else found


def selector(target: str = "") -> str:
    """Return the label selector of this user's pods, or of those of one target."""
    wanted = labels(target) if target else {MANAGED_BY: APP, OWNER: owner()}
    return ",".join(f"{name}={value}" for name, value in wanted.items())


def read_template(path: str) -> dict[str, Any]:
    """Return a pod template from a file. Blocks. Raises TemplateUnusable."""
    import yaml

    hint = "Give a file with one Pod: apiVersion: v1, kind: Pod, spec with containers."
    try:
        found = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateUnusable(
            f"Line {line} of the pod template {path} is not YAML: {error.problem}.",
            hint="Check the indentation and the quotes of this line and the line before.",
            details={"line": line},
        ) from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TemplateUnusable(f"The pod template {path} cannot be read: {error}", hint=hint) from error
    if not isinstance(found, dict) or found.get("kind") != "Pod" or not isinstance(found.get("spec"), dict):
        raise TemplateUnusable(f"{path} is not a Pod manifest.", hint=hint)
    containers = found["spec"].get("containers")
    if containers and not (
        isinstance(containers, list) and all(isinstance(each, dict) for each in containers)
    ):
        raise TemplateUnusable(
            f"The pod template {path} has no list of containers at spec.containers.", hint=hint
        )
    return found


def pod(
    config: KubernetesConfig,
    target: str,
    host_id: str,
    resources: Resources,
    template: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the manifest of a kernel's pod. Raises TemplateUnusable where no image is given."""
    made = _without_own(deepcopy(template)) if template else {}
    made.update(apiVersion="v1", kind="Pod")
    metadata = made["metadata"] = dict(made.get("metadata") or {})
    metadata.update(name=pod_name(target, host_id), namespace=config.namespace)
    queue = {QUEUE: config.queue} if config.queue else {}
    metadata["labels"] = {**(metadata.get("labels") or {}), **queue, **labels(target, host_id)}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        "genops-lab/host-id": host_id,
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }
    spec = made["spec"] = dict(made.get("spec") or {})
    containers = [dict(each) for each in spec.get("containers") or [{}]]
    kernel = next((each for each in containers if each.get("name") == KERNEL), containers[0])
    image = config.image or kernel.get("image")
    if not image:
        raise TemplateUnusable(
            f"The target {target} has no image.", hint="Give the target an image, or a pod template with one."
        )
    _fill_spec(spec, config, resources)
    notice_s = max(0, int(spec["terminationGracePeriodSeconds"]) - _LAST_S)
    _fill_kernel(kernel, config, resources, str(image), metadata["name"])
    kernel["command"] = ["/bin/sh", "-c", HOLD % notice_s]
    journal = {
        "name": JOURNAL,
        "image": image,
        "command": ["/bin/sh", "-c", SERVE],
        "env": kernel["env"],
        "volumeMounts": [each for each in kernel["volumeMounts"] if each["name"] != "genops-shm"],
        "securityContext": kernel["securityContext"],
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {
                "memory": "256Mi",
                **({"cpu": "500m"} if "cpu" in kernel["resources"]["limits"] else {}),
            },
        },
        **({"imagePullPolicy": kernel["imagePullPolicy"]} if "imagePullPolicy" in kernel else {}),
    }
    spec["containers"] = [kernel, *(each for each in containers if each is not kernel), journal]
    return made


def reader(made: dict[str, Any]) -> dict[str, Any]:
    """Return the pod that serves the journal of a lost pod, whose manifest is given, from its claim. It asks for
    no GPU and mounts no other claim, so that any node can run it."""
    found = deepcopy(made)
    found["metadata"]["name"] = reader_name(made["metadata"]["name"])
    spec = found["spec"]
    (journal,) = (each for each in spec["containers"] if each["name"] == JOURNAL)
    own = {each["name"] for each in spec["volumes"] if re.fullmatch(r"genops-(shm|\d+)", each["name"])}
    journal["volumeMounts"] = [each for each in journal["volumeMounts"] if each["name"] not in own]
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] not in own]
    spec["containers"] = [journal]
    devices = ("resourceClaims", "schedulingGroup", "workloadRef")
    for field in ("nodeSelector", "activeDeadlineSeconds", "initContainers", *devices):
        spec.pop(field, None)
    found["metadata"]["labels"].pop(QUEUE, None)
    return found


def reader_name(pod: str) -> str:
    """Return the name of the pod that serves the journal of another one."""
    return pod + _READER


def kernel_pod(name: str) -> str:
    """Return the name of the kernel's pod, for that of the pod or of the one that serves its journal."""
    return name.removesuffix(_READER)


def dropped(sent: dict[str, Any], made: dict[str, Any]) -> list[str]:
    """Return the fields of a sent pod's spec that the API server does not know: it drops them without a word."""
    return [name for name, value in sent["spec"].items() if value and name not in made["spec"]]


def _without_own(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template without the parts that each pod gets, so that a manifest made here can be a template."""
    spec = template["spec"]
    for field, own in (("containers", lambda name: name == JOURNAL), ("volumes", _is_own_volume)):
        if field in spec:
            spec[field] = [each for each in spec[field] if not own(str(each.get("name")))]
    for container in spec.get("containers") or []:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [each for each in mounts if not _is_own_volume(str(each.get("name")))]
    return template


def _is_own_volume(name: str) -> bool:
    return re.fullmatch(r"genops(-shm|-tmp|-journal|-\d+)?", name) is not None


def _fill_spec(spec: dict[str, Any], config: KubernetesConfig, resources: Resources) -> None:
    spec.update(restartPolicy="Never", enableServiceLinks=False)
    spec.setdefault("terminationGracePeriodSeconds", _GRACE_S)
    security = {"seccompProfile": {"type": "RuntimeDefault"}, **(spec.get("securityContext") or {})}
    if config.run_as:
        security.update(runAsUser=config.run_as, runAsGroup=config.run_as, fsGroup=config.run_as)
    if config.restricted:
        security["runAsNonRoot"] = True
    spec["securityContext"] = security
    volumes = [*(spec.get("volumes") or []), {"name": "genops", "emptyDir": {}}]
    if config.shared_memory:
        volumes.append(
            {"name": "genops-shm", "emptyDir": {"medium": "Memory", "sizeLimit": config.shared_memory}}
        )
    if config.restricted:
        volumes.append({"name": "genops-tmp", "emptyDir": {}})
    for number, (claim, _path, _way) in enumerate(_mounts(config)):
        volumes.append({"name": f"genops-{number}", "persistentVolumeClaim": {"claimName": claim}})
    if config.journal_claim:
        own = {"claimName": config.journal_claim}
        volumes.append({"name": "genops-journal", "persistentVolumeClaim": own})
    spec["volumes"] = volumes
    gpu_type = resources.gpu_type or config.gpu_type
    chosen = dict(each.split("=", 1) for each in words(config.node_selector))
    if gpu_type:
        chosen[config.gpu_label] = gpu_type
    if chosen:
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **chosen}
    if config.tolerations:
        known = spec.get("tolerations") or []
        tolerated = [_toleration(each) for each in words(config.tolerations)]
        spec["tolerations"] = [*known, *(each for each in tolerated if each not in known)]
    if config.pull_secrets:
        spec["imagePullSecrets"] = [{"name": each} for each in words(config.pull_secrets)]
    for field, value in (
        ("runtimeClassName", config.runtime_class),
        ("serviceAccountName", config.service_account),
        ("priorityClassName", config.priority_class),
    ):
        if value:
            spec[field] = value
    spec.setdefault("automountServiceAccountToken", bool(config.service_account))
    seconds = resources.time_s or config.hours * 3600
    if seconds:
        spec["activeDeadlineSeconds"] = int(seconds)


def _fill_kernel(
    kernel: dict[str, Any], config: KubernetesConfig, resources: Resources, image: str, name: str
) -> None:
    kernel.pop("args", None)
    kernel.update(name=KERNEL, image=image)
    own = {
        "HOME": config.home or f"{FOLDER}/home",
        "GENOPS_AGENT_STATE": f"{FOLDER}/state",
        "GENOPS_AGENT_DIR": f"{FOLDER}/agent",
        **({"HF_HOME": config.cache} if config.cache else {}),
    }
    kernel["env"] = [each for each in kernel.get("env") or [] if each.get("name") not in own]
    kernel["env"] += [{"name": name, "value": value} for name, value in own.items()]
    mounts = [*(kernel.get("volumeMounts") or []), {"name": "genops", "mountPath": FOLDER}]
    if config.shared_memory:
        mounts.append({"name": "genops-shm", "mountPath": "/dev/shm"})  # noqa: S108 - the pod's own
    if config.restricted:
        mounts.append({"name": "genops-tmp", "mountPath": "/tmp"})  # noqa: S108
    for number, (_claim, path, way) in enumerate(_mounts(config)):
        mounts.append({"name": f"genops-{number}", "mountPath": path, "readOnly": way == "ro"})
    if config.journal_claim:
        mounts.append({"name": "genops-journal", "mountPath": f"{FOLDER}/state", "subPath": f"genops/{name}"})
    kernel["volumeMounts"] = mounts
    security = {"allowPrivilegeEscalation": False, **(kernel.get("securityContext") or {})}
    if config.restricted:
        security.update(capabilities={"drop": ["ALL"]}, readOnlyRootFilesystem=True, runAsNonRoot=True)
    kernel["securityContext"] = security
    wanted = dict(kernel.get("resources") or {})
    requests, limits = dict(wanted.get("requests") or {}), dict(wanted.get("limits") or {})
    gpus = config.gpus if resources.gpus is None else resources.gpus
    if gpus or resources.gpus is not None:
        limits.pop(config.gpu_resource, None)
        requests.pop(config.gpu_resource, None)
        if gpus:
            limits[config.gpu_resource] = str(gpus)
    if cpus := resources.cpus or config.cpus:
        requests["cpu"] = f"{round(cpus * 1000)}m"
    memory = str(resources.memory_bytes) if resources.memory_bytes else config.memory
    for name, size in (("memory", memory), ("ephemeral-storage", config.ephemeral_storage)):
        if size:
            requests[name] = limits[name] = size
    kernel["resources"] = {**wanted, "requests": requests, "limits": limits}  # a template may have claims


def _mounts(config: KubernetesConfig) -> list[tuple[str, str, str]]:
    found = []
    for each in words(config.volumes):
        claim, path, way = (*each.split(":"), "rw")[:3]
        found.append((claim, path, way))
    return found


def _toleration(text: str) -> dict[str, str]:
    pair, _, effect = text.partition(":")
    key, equals, value = pair.partition("=")
    found = (
        {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    )
    return {**found, "effect": effect} if effect else found


def _slug(text: str, most: int) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:most].strip("-") or "x"


def _label(text: str) -> str:
    """Return a text as a label's value: itself where it is one, else with a hash."""
    if re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", text):
        return text
    return f"{_slug(text, 40)}-{_digest(text, 10)}"


def _digest(text: str, most: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:most]
