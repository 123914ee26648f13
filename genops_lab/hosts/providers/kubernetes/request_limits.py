"""Hold a pod's manifest against the administrator's limits: what a template adds counts too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ....core.errors import InvalidRequest
from ...configuration import FormField, check_field
from .config import KubernetesConfig
from .manifest import JOURNAL, QUEUE

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18, "m": 1e-3}
_GPU = re.compile(r"gpu|nvidia\.com/|amd\.com/|habana\.ai/", re.IGNORECASE)


def quantity(text: Any) -> float:
    """Return a quantity of Kubernetes as a number. Raises InvalidRequest.

    >>> quantity("1.5Gi") == 1.5 * 1024**3, quantity("500m")
    (True, 0.5)
    """
    found = re.fullmatch(r"([0-9.]+)([kKMGTPE]i|[kMGTPEm]?)", str(text).strip())
    if found is None:
        raise InvalidRequest(f"{text} is not a quantity of Kubernetes.", hint="Write such as 16Gi or 500m.")
    number, unit = found.groups()
    if unit.endswith("i"):
        return float(number) * 1024.0 ** ("KMGTPE".index(unit[0].upper()) + 1)
    return float(number) * _UNITS[unit]


def check_manifest(made: dict[str, Any], config: KubernetesConfig, fields: Sequence[FormField]) -> None:
    """Raise InvalidRequest where the pod is not within these fields' limits."""
    spec, labels = made["spec"], made["metadata"].get("labels") or {}
    containers = [*spec["containers"], *(spec.get("initContainers") or [])]
    own = [each for each in containers if each.get("name") != JOURNAL]
    held: dict[str, list[Any]] = {
        "gpus": [sum(_asked(own, _GPU.search))],
        "gpu_type": [(spec.get("nodeSelector") or {}).get(config.gpu_label)],
        "cpus": [sum(_asked(own, "cpu".__eq__))],
        "memory_bytes": [sum(_asked(own, "memory".__eq__))],
        "time_s": [spec.get("activeDeadlineSeconds")],
        "image": [each.get("image") for each in containers],
        "namespace": [made["metadata"]["namespace"]],
        "queue": [labels.get(QUEUE)],
        "service_account": [spec.get("serviceAccountName")],
        "priority_class": [spec.get("priorityClassName")],
        "runtime_class": [spec.get("runtimeClassName")],
    }
    for field in fields:
        if field.name == "gpus" and spec.get("resourceClaims"):
            raise InvalidRequest(
                "The administrator limits GPUs, and the pod template claims devices.",
                hint="Leave resourceClaims out of the template.",
            )
        for value in held.get(field.name, []):
            try:
                check_field(field, "" if value is None and field.widget != "number" else value)
            except InvalidRequest as error:
                if value is None and not field.locked and not field.choices:
                    continue
                raise InvalidRequest(
                    f"The pod would have {field.label} {value}. {error.message}",
                    hint="The administrator of this Lab limits this. Change the pod template or the target.",
                ) from error


def _asked(containers: Sequence[dict[str, Any]], counts: Any) -> Iterator[float]:
    """Yield how much of such resources each container has: the larger of request and limit."""
    for each in containers:
        found: dict[str, float] = {}
        for given in ("requests", "limits"):
            for name, size in ((each.get("resources") or {}).get(given) or {}).items():
                if counts(name):
                    found[name] = max(found.get(name, 0.0), quantity(size))
        yield sum(found.values())
