"""Write and read the kernelspecs of presets: a target's kernel whose host has named resources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.paths import jupyter_data_dir

from ..core.errors import Conflict
from ..core.paths import write_private
from ..hosts.models import Preset
from ..hosts.providers.base import Resources
from ..hosts.resources import variables_of
from .kernelspecs import LOGO, PREFIX, read_specification, specification
from .preset_price import price_in


def install_preset(target: str, where: str, preset: Preset) -> None:
    """Write or replace the kernelspec. Raises Conflict where another kernel has the name."""
    folder = _folder(preset)
    path = folder / "kernel.json"
    if path.exists() and _preset_of(read_specification(path)) != (target, preset.name):
        raise Conflict(
            f"A kernel {preset.kernel_name!r} exists already.",
            hint="Give the preset another name, or remove the kernel: jupyter kernelspec remove "
            f"{preset.kernel_name}",
        )
    words = {"host": where, "preset": preset.name, "resources": msgspec.to_builtins(preset.resources)}
    if preset.price_per_hour is not None:
        words["price_per_hour"] = preset.price_per_hour
    if preset.locked:
        words["locked"] = True
    wanted = specification(target, f"Python 3 ({target}: {preset.name})", words)
    wanted["env"] = variables_of(preset.resources)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(LOGO, folder / LOGO.name)
    write_private(path, json.dumps(wanted, indent=1) + "\n")


def remove_preset(target: str, preset: Preset) -> None:
    """Remove the kernelspec that :func:`install_preset` made; harmless without one."""
    folder = _folder(preset)
    if _preset_of(read_specification(folder / "kernel.json")) == (target, preset.name):
        shutil.rmtree(folder)


def price_of(kernel_name: str) -> float | None:
    """Return the price in USD an hour of the preset that a kernelspec is of; None without one. Blocks."""
    if not kernel_name.startswith(PREFIX):
        return None
    read = read_specification(Path(jupyter_data_dir()) / "kernels" / kernel_name / "kernel.json")
    return price_in(read.get("metadata"))


def all_presets() -> dict[str, list[Preset]]:
    """Return the user's presets by target, each target's by name."""
    found: dict[str, list[Preset]] = {}
    for path in sorted((Path(jupyter_data_dir()) / "kernels").glob(f"{PREFIX}*.*/kernel.json")):
        read = read_specification(path)
        target, name = _preset_of(read)
        if not name:
            continue
        try:
            about = read["metadata"]["genops"]
            resources = msgspec.convert(about["resources"], Resources)
            price = msgspec.convert(about.get("price_per_hour"), float | None)
        except (KeyError, msgspec.ValidationError):  # changed by hand
            continue
        preset = Preset(
            name=name,
            kernel_name=path.parent.name,
            resources=resources,
            price_per_hour=price,
            locked=about.get("locked") is True,
        )
        found.setdefault(target, []).append(preset)
    return found


def _preset_of(found: dict[str, Any]) -> tuple[str, str]:
    metadata = found.get("metadata")
    genops = metadata.get("genops") if isinstance(metadata, dict) else None
    if not isinstance(genops, dict):
        return "", ""
    return str(genops.get("target", "")), str(genops.get("preset", ""))


def _folder(preset: Preset) -> Path:
    return Path(jupyter_data_dir()) / "kernels" / preset.kernel_name
