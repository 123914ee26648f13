"""The published schemas of Kubernetes 1.30 to 1.37 for the kinds that GenOps Lab sends, without descriptions.

``kubernetes_schemas.json.xz`` is an extract (Apache License 2.0, The Kubernetes Authors) of the strict schemas in the
package kubernetes-validate: an unknown field is an error. It is stricter in one place: null is no value. Make it anew
from an unpacked wheel of that package:

    python -m tests.support.kubernetes_schemas FOLDER
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

EXTRACT = Path(__file__).with_name("kubernetes_schemas.json.xz")
_KINDS = {
    ("v1", "Pod"): "io.k8s.api.core.v1.Pod",
    ("v1", "ServiceAccount"): "io.k8s.api.core.v1.ServiceAccount",
    ("networking.k8s.io/v1", "NetworkPolicy"): "io.k8s.api.networking.v1.NetworkPolicy",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "io.k8s.api.rbac.v1.ClusterRole",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "io.k8s.api.rbac.v1.ClusterRoleBinding",
    ("rbac.authorization.k8s.io/v1", "Role"): "io.k8s.api.rbac.v1.Role",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "io.k8s.api.rbac.v1.RoleBinding",
}
VERSIONS = tuple(f"1.{minor}" for minor in range(30, 38))


@cache
def _extract() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(lzma.decompress(EXTRACT.read_bytes()))
    return found


def faults(manifest: dict[str, Any], version: str) -> list[str]:
    """What a manifest has that a version does not know, or lacks."""
    from jsonschema import Draft202012Validator

    kind = _KINDS[(manifest["apiVersion"], manifest["kind"])]
    schema = {"$ref": f"#/$defs/{kind}", "$defs": _extract()[version]}
    return [
        f"{each.json_path}: {each.message}" for each in Draft202012Validator(schema).iter_errors(manifest)
    ]


def _pruned(schema: Any) -> Any:
    if isinstance(schema, dict):
        kept = {
            name: f"#/$defs/{value.rsplit('/', 1)[1]}" if name == "$ref" else _pruned(value)
            for name, value in schema.items()
            if not name.startswith("x-") and not (name == "description" and isinstance(value, str))
        }
        if isinstance(kept.get("type"), list):
            kept["type"] = next(each for each in kept["type"] if each != "null")
        return kept
    return [_pruned(each) for each in schema] if isinstance(schema, list) else schema


def _make(folder: Path) -> None:
    made: dict[str, dict[str, Any]] = {}
    for version in VERSIONS:
        path = next(folder.glob(f"**/v{version}.*-local-strict/_definitions.json"))
        known, wanted = json.loads(path.read_text())["$defs"], list(_KINDS.values())
        kept = made[version] = {}
        while wanted:
            if (name := wanted.pop()) not in kept:
                kept[name] = _pruned(known[name])
                wanted += re.findall(r'"#/\$defs/([^"]+)"', json.dumps(kept[name]))
    text = json.dumps(made, sort_keys=True, separators=(",", ":")).encode()
    EXTRACT.write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))


if __name__ == "__main__":
    _make(Path(sys.argv[1]))
