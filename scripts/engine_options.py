"""Read the options and metrics of vLLM and SGLang from their wheels, without installing them, into a file of the tests.

``pip download --no-deps vllm sglang``, then ``python scripts/engine_options.py vllm-*.whl sglang-*.whl``.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

RECORDED = Path(__file__).resolve().parents[1] / "tests" / "deployments" / "engine_options.json"
#: Where each engine declares its options: as calls of ``add_argument``, and as fields of the classes of these names.
_PLACES = {
    "vllm": (("vllm/engine/arg_utils.py", "vllm/entrypoints/"), ("FrontendArgs", "BaseFrontendArgs")),
    "sglang": (("sglang/srt/server_args.py", "sglang/srt/arg_groups/fields/"), ()),
}
_METRICS = {
    "vllm": "vllm/v1/metrics/loggers.py",
    "sglang": "sglang/srt/observability/metrics_collector.py",
}


def options(engine: str, wheel: Path) -> list[str]:
    """Return the options of the engine in a wheel."""
    files, classes = _PLACES[engine]
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(files) and name.endswith(".py"):
                for node in ast.walk(ast.parse(archive.read(name))):
                    found |= set(_given(node))
                    if isinstance(node, ast.ClassDef) and (not classes or node.name in classes):
                        found |= set(_fields(node))
    return sorted(found)


def metrics(engine: str, wheel: Path) -> list[str]:
    """Return the names of the engine's metrics in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(_METRICS[engine]).decode()
    return sorted(set(re.findall(rf'"({engine}:\w+)"', text)))


def _given(node: ast.AST) -> Iterator[str]:
    """Yield the options of ``add_argument(...)`` and of ``Arg(aliases=[...])``."""
    if not isinstance(node, ast.Call):
        return
    aliases = [each.value for each in node.keywords if each.arg == "aliases"]
    given = [item for each in aliases if isinstance(each, ast.List) for item in each.elts]
    if isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
        given += node.args
    for each in given:
        if isinstance(each, ast.Constant) and str(each.value).startswith("--"):
            yield str(each.value)


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield "--" + each.target.id.replace("_", "-")


def main(wheels: list[str]) -> None:
    """Record what the wheels have."""
    found = {}
    for wheel in map(Path, wheels):
        engine, version = wheel.name.split("-")[:2]
        found[engine] = {
            "version": version,
            "options": options(engine, wheel),
            "metrics": metrics(engine, wheel),
        }
    RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
