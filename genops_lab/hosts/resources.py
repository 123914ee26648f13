"""Describe, limit and pass the resources of a kernel's new host.

They reach the start as variables of the kernel, from any caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import InvalidRequest

from .best_fit import GPU_VARIABLES
from .configuration import FormField, check_field, limited
from .providers.base import Resources

if TYPE_CHECKING:
    from .link.route import Route
    from .providers.base import HostProvider

#: By field. No host gets any of them.
VARIABLES = {
    "gpus": "GENOPS_GPUS",
    "gpu_type": "GENOPS_GPU_TYPE",
    "cpus": "GENOPS_CPUS",
    "memory_bytes": "GENOPS_MEMORY_BYTES",
    "time_s": "GENOPS_TIME_S",
}
#: Fields of configurations that are resources in other units: the resource, and the factor of a number.
_OF_CONFIG: dict[str, tuple[str, float | None]] = {
    "hours": ("time_s", 3600.0),
    "time": ("time_s", None),
    "memory": ("memory_bytes", None),
}
_NUMBERS = ("minimum", "maximum")
_MAX = 2**53
_GIB = 1024**3

_FIELDS = (
    FormField(name="gpus", label="GPUs", widget="number", minimum=0, maximum=1024, noun="a number of GPUs"),
    FormField(name="gpu_type", label="Kind of GPU", help="Such as H100.", pattern=r"[\w.-]{1,63}",
              noun="a kind of GPU", hint="Use letters, digits and '._-'."),
    FormField(name="cpus", label="CPU cores", widget="number", minimum=0, maximum=4096, noun="a number of cores"),
    FormField(name="memory_bytes", label="Memory", widget="number", minimum=0, maximum=_MAX),
    FormField(name="time_s", label="Time", widget="number", minimum=0, maximum=_MAX,
              help="The kernel ends after this time."),
)  # fmt: skip


def fields_of(
    provider: HostProvider, target: Route, limits: Mapping[str, Mapping[str, Any]]
) -> list[FormField]:
    """Return the form of a new host's resources: the target's values as defaults, and the administrator's
    ``limits`` of the fields of its kind."""
    usual = msgspec.structs.asdict(provider.default_resources(target.config))
    own: dict[str, dict[str, Any]] = {}
    for name, each in limits.items():
        resource, factor = _OF_CONFIG.get(name, (name, None))
        parts = {part: value for part, value in each.items() if part != "default"}
        if resource != name:
            # A number keeps its limits; of a text only its author knows which others are allowed.
            fixed = bool(parts.get("locked") or parts.get("choices"))
            numbers = {part: value * factor for part, value in parts.items() if factor and part in _NUMBERS}
            parts = {**numbers, **({"locked": True} if fixed else {})}
        own[resource] = {**parts, **own.get(resource, {})}
    return [msgspec.structs.replace(field, default=usual[field.name]) for field in limited(_FIELDS, own)]


def check_resources(resources: Resources, fields: Sequence[FormField]) -> None:
    """Raise InvalidRequest for a resource that its field does not allow."""
    asked = msgspec.structs.asdict(resources)
    for field in fields:
        value = asked[field.name]
        if value is None:
            continue
        try:
            check_field(field, value)
        except InvalidRequest as error:
            if field.locked or isinstance(value, str):
                raise
            low, high = (_shown(field.name, each or 0) for each in (field.minimum, field.maximum))
            raise InvalidRequest(
                f"A host with {_shown(field.name, value)} cannot be requested.",
                hint=f"Give {low} to {high}.",
            ) from error


def words_of(resources: Resources) -> str:
    """Return the resources in a few words; empty for none.

    >>> words_of(Resources(gpus=1, gpu_type="H100", memory_bytes=64 * 1024**3, time_s=14400))
    '1 x H100, 64 GiB, 4 h'
    """
    asked = {name: value for name, value in msgspec.structs.asdict(resources).items() if value is not None}
    words = []
    if "gpu_type" in asked:
        words.append(f"{asked.pop('gpus', 1)} x {asked.pop('gpu_type')}")
    return ", ".join([*words, *(_shown(name, value) for name, value in asked.items())])


def _shown(name: str, value: Any) -> str:
    if name == "memory_bytes":
        return f"{value / _GIB:.4g} GiB"
    if name == "time_s":
        return f"{value / 3600:.3g} h" if value >= 3600 or not value else f"{value / 60:.3g} min"
    noun = {"gpus": "GPU", "cpus": "CPU"}.get(name, "")
    return f"{value:g} {noun}{'' if value == 1 else 's'}" if noun else str(value)


def variables_of(resources: Resources) -> dict[str, str]:
    """Return the variables that request these resources."""
    asked = msgspec.structs.asdict(resources)
    return {VARIABLES[name]: f"{value}" for name, value in asked.items() if value is not None}


def of_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables among these that request resources."""
    return {name: environment[name] for name in VARIABLES.values() if name in environment}


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
