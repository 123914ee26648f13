"""The administrator's rules for targets and hosts. Every request of a host obeys them, whatever asked for it.

The Lab's configuration has the rules. A copy beside the store serves programs without a server, such as
``jupyter execute``. Both are files of the user's account: a cluster's own quota is the protection.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.paths import write_private
from genops_lab.core.settings import Settings
from genops_lab.runtime.money import money_text

from .configuration import check, limited
from .link.route import Route
from .models import NewPreset
from .providers import provider_of
from .providers.base import Resources
from .resources import check_resources, fields_of

_FILE = "operator.json"

log = logging.getLogger("genops_lab")


class OperatorRules(msgspec.Struct, frozen=True, kw_only=True):
    """``fields``: default, limits and lock by kind and field of a target or of a host's resources. ``presets``
    are by target. ``own_targets`` are the administrator's, whose configuration needs no check.
    ``max_price_per_hour`` bounds the known price of a kernel's host, in USD."""

    fields: dict[str, dict[str, dict[str, Any]]] = {}
    presets: dict[str, list[NewPreset]] = {}
    own_targets: list[str] = []
    allow_user_targets: bool = True
    max_price_per_hour: float | None = None


def rules_of(settings: Settings) -> OperatorRules:
    """Return the rules of these settings; of a command without a server, those of the last server. Blocks.
    Raises InvalidRequest for presets that are none."""
    try:
        presets = msgspec.convert(settings.target_presets, dict[str, list[NewPreset]])
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"GenOpsLab.target_presets is not valid: {error}",
            hint='Give {"TARGET": [{"name": "1 x H100", "resources": {"gpus": 1, "gpu_type": "H100"}}]}.',
        ) from error
    own = OperatorRules(
        fields=settings.target_fields,
        presets=presets,
        own_targets=[each.name for each in settings.targets or ()],
        allow_user_targets=settings.allow_user_targets,
        max_price_per_hour=settings.max_price_per_hour,
    )
    return load(settings.data_dir) if settings.targets is None and own == OperatorRules() else own


def save(data_dir: Path, rules: OperatorRules) -> None:
    """Write the copy for programs without a server. Blocks."""
    if load(data_dir) != rules:
        write_private(data_dir / _FILE, msgspec.json.encode(rules).decode())


def load(data_dir: Path) -> OperatorRules:
    """Return the copy; no rules without one. Blocks. Raises InvalidRequest for one that cannot be read."""
    try:
        return msgspec.json.decode((data_dir / _FILE).read_bytes(), type=OperatorRules)
    except FileNotFoundError:
        return OperatorRules()
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidRequest(
            f"The administrator's rules for targets cannot be read: {error}",
            hint="Restart JupyterLab, which writes them anew.",
        ) from error


def allowed(rules: OperatorRules, target: Route, name: str, resources: Resources) -> Resources:
    """Return the resources that a new host of this name may request. Blocks.

    A request without a time gets the longest allowed one. Templates, scripts and more options of a user's target
    count. Raises InvalidRequest, which names the field.
    """
    limits = rules.fields.get(target.kind, {})
    if not limits:
        return resources
    provider = provider_of(target.kind)
    fields = fields_of(provider, target, limits)
    check_resources(resources, fields)
    usual = provider.default_resources(target.config)
    most = next(each.maximum for each in fields if each.name == "time_s")
    if most is not None and resources.time_s is None and usual.time_s is None:
        resources = msgspec.structs.replace(resources, time_s=most)
    if target.target in rules.own_targets:
        return resources
    form = limited(provider.form(), limits)
    check(target.config, form)
    check_resources(_with(usual, resources), fields)
    ruled = [each for each in [*form, *fields] if each.administered]
    provider.check_request(target, name, resources, ruled)
    return resources


def check_price_limit(
    rules: OperatorRules, target: str, resources: Resources, price_per_hour: float | None
) -> None:
    """Raise InvalidRequest for a host whose price is over the administrator's limit.

    The price is that of the administrator's preset with these resources, or else the given one. A price that nobody
    knows is within the limit.
    """
    preset = next((each for each in rules.presets.get(target, []) if each.resources == resources), None)
    price = price_per_hour if preset is None or preset.price_per_hour is None else preset.price_per_hour
    most = rules.max_price_per_hour
    if most is not None and price is not None and price > most:
        raise InvalidRequest(
            f"A host on {target} costs {money_text(price, 'USD', 'given')} an hour, "
            f"and the administrator allows {most:g}.",
            hint="Choose a preset or a target that costs less, or ask the administrator of this Lab.",
        )


def _with(usual: Resources, chosen: Resources) -> Resources:
    given = {name: value for name, value in msgspec.structs.asdict(chosen).items() if value is not None}
    return msgspec.structs.replace(usual, **given)
