"""Judge skops files by the types that their schema names.

skops builds a type only if it is trusted, but a model of MLflow names itself the types to trust. So what is not a plain
container, a NumPy array or a class of scikit-learn counts as code.
"""

from __future__ import annotations

import re
from typing import Any

from .judged import Judged, code, data
from .source import Budget, Damaged

FORMAT = "skops"
_SHOWN = 3
#: Nodes of skops that hold values, or build an object of the class that they name.
_NODES = frozenset(
    [
        "BytearrayNode",
        "BytesNode",
        "CriterionNode",
        "DTypeNode",
        "DefaultDictNode",
        "DictNode",
        "JsonNode",
        "ListNode",
        "LossNode",
        "MaskedArrayNode",
        "NdArrayNode",
        "ObjectNode",
        "RandomGeneratorNode",
        "RandomStateNode",
        "SetNode",
        "SliceNode",
        "SparseMatrixNode",
        "TreeNode",
        "TupleNode",
        "TypeNode",
        "_DictWithDeprecatedKeysNode",
        "ConstructorFromReduceNode",
    ]
)
_BUILTINS = frozenset(
    [
        "bool",
        "bytearray",
        "bytes",
        "complex",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
        "set",
        "slice",
        "str",
        "tuple",
    ]
)
_CLASS = re.compile(r"_?[A-Z]\w*")
_NUMPY = frozenset(
    [
        "ndarray",
        "dtype",
        "generic",
        "bool",
        "bool_",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "str_",
        "bytes_",
        "complex64",
        "complex128",
        "datetime64",
        "timedelta64",
        "MaskedArray",
        "Generator",
        "RandomState",
        "MT19937",
        "PCG64",
        "PCG64DXSM",
        "Philox",
        "SFC64",
        "SeedSequence",
    ]
)


def judge(schema: Any, budget: Budget) -> Judged:
    """Judge the schema of a skops file. Raises Damaged and TooLarge."""
    foreign: set[str] = set()
    pending = [schema]
    while pending:
        budget.step()
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            pending.extend(node.values())
            if "__loader__" in node:
                name = f"{node.get('__module__')}.{node.get('__class__')}"
                if node["__loader__"] not in _NODES or not _is_known(node):
                    foreign.add(name)
    if not isinstance(schema, dict) or "__loader__" not in schema:
        raise Damaged("Its schema is not one of skops.")
    if not foreign:
        return data(FORMAT)
    shown = ", ".join(sorted(each[:80] for each in foreign)[:_SHOWN])
    return code(FORMAT, f"It builds objects of types outside of scikit-learn and NumPy: {shown}.")


def _is_known(node: dict[str, Any]) -> bool:
    module, name = node.get("__module__"), node.get("__class__")
    if not isinstance(module, str) or not isinstance(name, str):
        return False
    parts = module.split(".")
    if parts[0] == "builtins":
        return name in _BUILTINS or name == "type"
    if parts[0] == "collections":
        return name in ("OrderedDict", "defaultdict")
    if parts[0] == "numpy":
        return name in _NUMPY
    if parts[:2] == ["scipy", "sparse"]:
        return name.endswith(("_matrix", "_array"))
    # Classes only: functions of scikit-learn's tests and utilities can be made to run anything.
    return (
        parts[0] == "sklearn"
        and not {"tests", "externals", "utils", "datasets"} & set(parts)
        and bool(_CLASS.fullmatch(name))
    )
