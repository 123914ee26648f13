"""Read the values of ``genops targets add`` and ``genops targets set``."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.hosts.models import ChangeTarget, Target, TargetKind

_TIME = re.compile(r"(\d+(?:\.\d+)?)(m|min|h|d)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|[kmg]i?b)")
_BYTES: dict[str, int] = {
    "b": 1,
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmg", start=1)},
    **{f"{prefix}ib": 1024**power for power, prefix in enumerate("kmg", start=1)},
}
_MINUTES = {"m": 1.0, "min": 1.0, "h": 60.0, "d": 1440.0}


def changed(
    target: Target,
    price_per_hour: float | None,
    secrets: list[str],
    no_secrets: list[str],
    warm: int | None,
    warm_time: str,
    idle: str,
    idle_gpu: float | None,
    folder: bool | None,
    folder_size: str,
    folder_files: int | None,
) -> ChangeTarget:
    """Return the settings of a target with the given ones in place of its own. Raises InvalidRequest."""
    strange = [name for name in no_secrets if name not in target.secrets]
    if strange:
        raise InvalidRequest(
            f"Kernels of {target.name} do not get {strange[0]}.",
            hint=f"They get: {', '.join(target.secrets) or 'no variable'}.",
        )
    parts = {
        "warm_kernels": warm,
        "warm_minutes": minutes(warm_time) if warm_time else None,
        "idle_gpu_percent": idle_gpu,
        "folder": None if folder is None else "sync" if folder else "off",
        "folder_max_files": folder_files,
        "folder_max_bytes": size(folder_size) if folder_size else None,
        **({"idle_minutes": minutes(idle)} if idle and idle != "off" else {}),
    }
    policy = msgspec.structs.replace(
        target.policy, **{name: value for name, value in parts.items() if value is not None}
    )
    if idle == "off":
        policy = msgspec.structs.replace(policy, idle_minutes=None)
    return ChangeTarget(
        price_per_hour=target.price_per_hour if price_per_hour is None else price_per_hour,
        secrets=sorted({*target.secrets, *secrets} - set(no_secrets)),
        policy=policy,
    )


def minutes(text: str) -> float:
    """Return ``30m``, ``8h`` or ``2d`` in minutes. Raises InvalidRequest."""
    found = _TIME.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest(
            f"{text[:40]!r} is not a length of time.", hint="Give one such as 30m, 8h or 2d; or: off"
        )
    return float(found[1]) * _MINUTES[found[2]]


def size(text: str) -> int:
    """Return ``500MiB``, ``2GiB`` (powers of 1024), ``500MB`` or ``2GB`` (of 1000) in bytes. Raises InvalidRequest."""
    found = _SIZE.fullmatch(text.strip().lower())
    if found is None:
        raise InvalidRequest(f"{text[:40]!r} is not a size.", hint="Give one such as 500MiB or 2GiB.")
    return round(float(found[1]) * _BYTES[found[2]])


def field_values(given: list[str], kind: TargetKind) -> dict[str, Any]:
    """Return the values of ``--field NAME=VALUE``, as the kind's form takes them. Raises InvalidRequest."""
    fields = {field.name: field for field in kind.fields}
    values: dict[str, Any] = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not equals or name not in fields:
            raise InvalidRequest(
                f"Targets of the kind {kind.kind} have no field {each!r}.",
                hint=f"Write NAME=VALUE, with one of: {', '.join(fields)}.",
            )
        values[name] = _value(text, fields[name].widget, name)
    return values


def _value(text: str, widget: str, name: str) -> Any:
    if widget == "switch" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if widget == "number":
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return int(number) if number.is_integer() else number
    if widget in ("switch", "number"):
        raise InvalidRequest(
            f"{name} cannot be {text!r}.",
            hint=f"Give {'a number' if widget == 'number' else 'true or false'}.",
        )
    return text
