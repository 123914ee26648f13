"""Write the bill of materials of a version: CycloneDX 1.6, with a model card (cyclonedx.org/docs/1.6/json)."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from genops_lab.registry.files.models import ModelField
from genops_lab.version import __version__

from .models import DataSet, Energy, HashedFile, Known, Metric

_CREDENTIALS = re.compile(r"//[^/@\s]+@")
#: Identifiers of SPDX, by the names that models use (those of Hugging Face). Others are written as names.
_SPDX = {
    name.lower(): name
    for name in [
        *(
            "AFL-3.0",
            "AGPL-3.0-only",
            "Apache-2.0",
            "Artistic-2.0",
            "BSD-2-Clause",
            "BSD-3-Clause",
            "BSL-1.0",
        ),
        *("CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "CC0-1.0", "ECL-2.0", "EPL-2.0"),
        *("EUPL-1.2", "GPL-2.0-only", "GPL-3.0-only", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0", "Unlicense"),
    ]
} | {
    "gpl-2.0": "GPL-2.0-only",
    "gpl-3.0": "GPL-3.0-only",
    "agpl-3.0": "AGPL-3.0-only",
    "lgpl-3.0": "LGPL-3.0-only",
}
_MODEL = "model"


def bill_of_materials(
    known: Known, files: Sequence[HashedFile], *, now: float | None = None
) -> dict[str, Any]:
    """Return the JSON document. The serial number is the same for the same files of the same version."""
    requirements = [
        _requirement(each) for each in known.facts.requirements if not each.lstrip().startswith("-")
    ]
    data = [each for each in (known.training.data if known.training else []) if each.context != "evaluation"]
    data_parts = _unique([_data(each) for each in data])
    base = _base(known.base_model) if known.base_model else []
    parts = _unique([*requirements, *data_parts, *base])
    identity = "\n".join([known.name, known.version, *(f"{each.path} {each.sha256}" for each in files)])
    made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() if now is None else now))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, identity)}",
        "version": 1,
        "metadata": {
            "timestamp": made,
            "tools": {"components": [{"type": "application", "name": "genops-lab", "version": __version__}]},
            "component": _model(known, files, data_parts),
        },
        "components": parts,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [each["bom-ref"] for each in parts]},
            *({"ref": each["bom-ref"]} for each in parts),
        ],
    }


def _model(known: Known, files: Sequence[HashedFile], data: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": known.name,
        "version": known.version,
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{each.path}",
                "name": each.path,
                "hashes": [{"alg": "SHA-256", "content": each.sha256}],
                "properties": [_property("size_bytes", str(each.size_bytes))],
            }
            for each in files
        ],
        "modelCard": _card(known, data),
        "properties": _properties(known),
    }
    if known.description:
        found["description"] = known.description
    if known.facts.licence:
        found["licenses"] = [{"license": _license(known.facts.licence)}]
    return found


def _card(known: Known, data: list[dict[str, Any]]) -> dict[str, Any]:
    facts = known.facts
    parameters: dict[str, Any] = {}
    if facts.architecture:
        parameters["modelArchitecture"] = facts.architecture
    if data:
        parameters["datasets"] = [{"ref": each["bom-ref"]} for each in data]
    if facts.signature:
        for name, fields in (("inputs", facts.signature.inputs), ("outputs", facts.signature.outputs)):
            if fields:
                parameters[name] = [{"format": _field(each)} for each in fields]
    metrics = known.evaluations or (known.training.metrics if known.training else [])
    found: dict[str, Any] = {"modelParameters": parameters}
    if metrics:
        found["quantitativeAnalysis"] = {"performanceMetrics": [_metric(each) for each in metrics]}
    considerations: dict[str, Any] = {}
    if facts.verdict != "data":
        considerations["technicalLimitations"] = [f"{facts.headline}."]
    energy = known.training.energy if known.training else Energy()
    if energy.kwh is not None:
        considerations["environmentalConsiderations"] = {"energyConsumptions": [_energy(energy)]}
    if considerations:
        found["considerations"] = considerations
    return found


def _energy(energy: Energy) -> dict[str, Any]:
    found: dict[str, Any] = {
        "activity": "training",
        # The schema demands a provider. Nobody records one.
        "energyProviders": [
            {
                "organization": {"name": "not recorded"},
                "energySource": "unknown",
                "energyProvided": {"value": energy.kwh, "unit": "kWh"},
            }
        ],
        "activityEnergyCost": {"value": energy.kwh, "unit": "kWh"},
    }
    if energy.co2_kg is not None:
        found["co2CostEquivalent"] = {"value": energy.co2_kg / 1000, "unit": "tCO2eq"}
    return found


def _metric(metric: Metric) -> dict[str, Any]:
    found: dict[str, Any] = {"type": metric.name, "value": repr(metric.value)}
    parts = [f"{metric.data}@{metric.digest}" if metric.digest else metric.data, metric.group]
    if any(parts):
        found["slice"] = ", ".join(part for part in parts if part)
    if metric.low is not None and metric.high is not None:
        found["confidenceInterval"] = {"lowerBound": repr(metric.low), "upperBound": repr(metric.high)}
    return found


def _properties(known: Known) -> list[dict[str, str]]:
    training, facts = known.training, known.facts
    texts = {
        "loading": facts.headline,
        "formats": ", ".join(facts.formats),
        "parameters": str(facts.parameters) if facts.parameters else "",
        "run": training.run_id if training else "",
        "commit": training.commit if training else "",
        "gates": str(known.gates.get("verdict", "")),
    }
    return [_property(name, value) for name, value in texts.items() if value]


def _requirement(line: str) -> dict[str, Any]:
    """Return a package as a component; a line that is no requirement of Python is kept as its name."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    plain = _CREDENTIALS.sub("//", line.strip())
    try:
        found = Requirement(plain)
    except InvalidRequirement:
        return {"type": "library", "bom-ref": f"requirement:{plain}", "name": plain}
    name = canonicalize_name(found.name)
    pinned = [
        each.version for each in found.specifier if each.operator in ("==", "===") and "*" not in each.version
    ]
    component: dict[str, Any] = {"type": "library", "name": name}
    if len(pinned) == 1:
        component["version"] = pinned[0]
    if found.url:
        component["bom-ref"] = f"requirement:{plain}"
        component["externalReferences"] = [
            {"type": "distribution", "url": quote(found.url, safe=":/?#[]@!$&'()*+,;=%")}
        ]
    else:
        purl = f"pkg:pypi/{quote(name)}" + (f"@{quote(pinned[0])}" if len(pinned) == 1 else "")
        component["bom-ref"] = component["purl"] = purl
    component["properties"] = [_property("requirement", plain)]
    return component


def _data(data: DataSet) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "data", "bom-ref": f"data:{data.name}@{data.digest}", "name": data.name}
    if data.digest:
        found["version"] = data.digest
    contents: dict[str, Any] = {"type": "dataset", "name": data.name}
    properties = [
        _property(name, value)
        for name, value in (("context", data.context), ("source", data.source))
        if value
    ]
    if properties:
        contents["contents"] = {"properties": properties}
    found["data"] = [contents]
    return found


def _base(given: str) -> list[dict[str, Any]]:
    plain = given.removeprefix("hf:")
    name, _, revision = plain.partition("@")
    found: dict[str, Any] = {"type": "machine-learning-model", "bom-ref": f"base:{given}", "name": name}
    if revision:
        found["version"] = revision
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        found["purl"] = f"pkg:huggingface/{quote(name)}" + (f"@{quote(revision)}" if revision else "")
    return [found]


def _license(given: str) -> dict[str, str]:
    known = _SPDX.get(given.lower())
    return {"id": known} if known else {"name": given}


def _field(field: ModelField) -> str:
    return f"{field.name}: {field.type}" if field.name else field.type


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"genops:{name}", "value": _CREDENTIALS.sub("//", value)}


def _unique(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the components without those that have the reference of an earlier one."""
    return list({each["bom-ref"]: each for each in reversed(components)}.values())[::-1]
