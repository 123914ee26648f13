"""Pass the resources of a kernel's host as variables of the kernel's start: they reach it from any caller."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from genops_lab.core.errors import InvalidRequest

from .best_fit import GPU_VARIABLES
from .providers.base import Resources

#: By field. No host gets any of them.
VARIABLES = {
    "gpus": "GENOPS_GPUS",
    "gpu_type": "GENOPS_GPU_TYPE",
    "cpus": "GENOPS_CPUS",
    "memory_bytes": "GENOPS_MEMORY_BYTES",
    "time_s": "GENOPS_TIME_S",
}
_MAX = 2**53


def variables_of(resources: Resources) -> dict[str, str]:
    """Return the variables that request these resources."""
    asked = msgspec.structs.asdict(resources)
    return {VARIABLES[name]: f"{value}" for name, value in asked.items() if value is not None}


def resources_of(environment: Mapping[str, str]) -> Resources:
    """Return the resources in the variables; others stay as the target says. Raises InvalidRequest."""
    given = {name: environment[each] for name, each in VARIABLES.items() if environment.get(each)}
    try:
        found = msgspec.convert(given, Resources, strict=False)
    except msgspec.ValidationError:
        found = None
    if found is None or not all(_can_be(value) for value in msgspec.structs.asdict(found).values()):
        words = ", ".join(f"{VARIABLES[name]}={value[:80]}" for name, value in given.items())
        raise InvalidRequest(
            f"The resources of the host are invalid: {words}.", hint="Give numbers of 0 or more."
        )
    return found


def gpus_of(environment: Mapping[str, str]) -> int | None:
    """Return the number of GPUs in a kernel's choice; None without a choice."""
    chosen = [
        environment[each]
        for each in sorted(GPU_VARIABLES)
        if each.endswith("_VISIBLE_DEVICES") and each in environment
    ]
    return len([each for each in chosen[0].split(",") if each.strip()]) if chosen else None


def _can_be(value: str | float | None) -> bool:
    return value is None or isinstance(value, str) or 0 <= value < _MAX
