"""Read ``gates.yaml``; an error names the line, the column and what was probably meant."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from typing import Any, get_args

import msgspec
import yaml

from genops_lab.core.errors import InvalidRequest

from .plan import AnyRule, Deploy, Gates, Measure, Metric

MAX_BYTES = 200_000
MAX_NODES = 5_000
MAX_DEPTH = 20
_RULES: dict[str, type[msgspec.Struct]] = {
    str(each.__struct_config__.tag): each for each in get_args(AnyRule)
}
#: What stands after a key, for the keys with a list of words.
_WORDS: dict[str, tuple[str, ...]] = {
    "kind": ("Gates",),
    "rule": tuple(_RULES),
    "metric": get_args(Metric),
    "metrics": get_args(Metric),
    "measure": get_args(Measure),
    "fixed_before": ("compared", "required"),
}
_TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "array": "a list",
    "object": "keys with values",
    "null": "nothing",
}
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<given>[^`]+)`")
_RANGE = re.compile(r"Expected `\w+` (?P<bound>.+)")
_BOUNDS = {">= ": "at least ", "<= ": "at most ", "> ": "more than ", "< ": "less than "}


class GateFileError(InvalidRequest):
    """A gate file cannot be used. ``details`` has the line and the column, from 1."""

    code = "gate_file"


def blob_hash(content: bytes) -> str:
    r"""Return the hash that git gives to a text file; line ends of Windows count as those of Unix.

    >>> blob_hash(b"kind: Gates\n")
    '8eb77a40502622cfb1dfff51cb2fde41d2b65be7'
    """
    content = content.replace(b"\r\n", b"\n")
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_gates(text: str, name: str = "gates.yaml") -> Gates:
    """Return the gates of a file's text. ``name`` stands in errors. Raises GateFileError.

    Aliases and merge keys are refused: a kilobyte of them stands for any number of nodes.
    """
    if len(text) > MAX_BYTES:
        raise GateFileError(
            f"{name} has {len(text):,} characters.", hint=f"Use at most {MAX_BYTES:,} characters."
        )
    try:
        root = _composed(text, name)
        places: dict[str, yaml.Node] = {}
        found = _value(root, "", places, name) if root is not None else {}
    except yaml.MarkedYAMLError as error:
        raise _error(name, error.problem_mark, f"this is not YAML: {error.problem}.", "") from error
    except (yaml.YAMLError, ValueError) as error:
        raise GateFileError(f"{name} is not YAML: {error}", hint="Write a text file in UTF-8.") from error
    try:
        return msgspec.convert(found, Gates)
    except msgspec.ValidationError as error:
        raise _explained(str(error), found, places, root, name) from error


def _composed(text: str, name: str) -> yaml.Node | None:
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "value", "") == "<<":
            raise _error(
                name, event.start_mark, "aliases and merge keys are not allowed.", "Write the part again."
            )
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise _error(
                name, event.start_mark, f"it has over {MAX_NODES:,} parts or {MAX_DEPTH} levels.",
                "Use fewer rules.",
            )  # fmt: skip
    found: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return found


def _value(node: yaml.Node, path: str, places: dict[str, yaml.Node], name: str) -> Any:
    """Return the value of a node, and remember where it and its keys stand."""
    places[path] = node
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, f"{path}[{at}]", places, name) for at, each in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _error(name, key.start_mark, "a key must be a word.", "")
            if key.value in found:
                raise _error(name, key.start_mark, f"the key {key.value!r} comes twice.", "Keep one of them.")
            places[f"{path}.{key.value}#"] = key
            found[key.value] = _value(value, f"{path}.{key.value}", places, name)
        return found
    if node.tag in _SCALARS:
        return yaml.SafeLoader("").construct_object(node)
    if node.tag.startswith("tag:yaml.org,2002:timestamp"):
        return node.value
    raise _error(name, node.start_mark, f"the tag {node.tag!r} is not allowed.", "Remove it.")


_SCALARS = {f"tag:yaml.org,2002:{each}" for each in ("str", "int", "float", "bool", "null")}


def _explained(
    message: str, found: Any, places: dict[str, yaml.Node], root: yaml.Node | None, name: str
) -> GateFileError:
    """Return msgspec's error in words, with the place that it names."""
    parts = _AT.match(message)
    assert parts is not None
    what, path = parts["what"], parts["path"] or ""
    node = places.get(path, root)
    key = path.rpartition(".")[2]
    unknown = re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    missing = re.match(r"Object missing required field `(.*)`", what)
    expected, bounds = _EXPECTED.match(what), _RANGE.match(what)
    hint = "An example: genops gates init --print"
    if unknown is not None:
        node = places.get(f"{path}.{unknown[1]}#", node)
        known = _keys(path, found)
        what = f"the key {unknown[1]!r} is unknown."
        hint = nearest(unknown[1], known) or f"Known keys: {', '.join(known)}."
    elif missing is not None:
        what = f"the key {missing[1]!r} is missing."
        hint = f"Words for {missing[1]}: {', '.join(_WORDS[missing[1]])}." if missing[1] in _WORDS else hint
    elif "Invalid value" in what or "Invalid enum value" in what:
        given = str(getattr(node, "value", ""))
        what = f"the {key} {given!r} is unknown."
        words = _WORDS.get(re.sub(r"\[\d+\]$", "", key), ())
        hint = nearest(given, words) or f"Known: {', '.join(words)}."
    elif expected is not None:
        kinds = [each.strip() for each in expected["wanted"].split("|")]
        wanted = " or ".join(_TYPES.get(each, each) for each in kinds if each != "null")
        given = _TYPES.get(expected["given"], expected["given"])
        what = f"{repr(key) if key else 'the file'} must be {wanted}, not {given}."
    elif bounds is not None:
        bound = bounds["bound"]
        for sign, words_of in _BOUNDS.items():
            bound = bound.replace(sign, words_of)
        what = f"{key!r} must be {bound}."
    else:
        what = what[:1].lower() + what[1:]
    return _error(name, getattr(node, "start_mark", None), what, hint)


def _keys(path: str, found: Any) -> list[str]:
    """Return the keys that the mapping at a path may have."""
    at = re.fullmatch(r"\.rules\[(\d+)\]", path)
    if at is not None:
        kind = _RULES[found["rules"][int(at[1])]["rule"]]
        return ["rule", *kind.__struct_fields__]
    return list((Deploy if path == ".deploy" else Gates).__struct_fields__)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint with similar words, or an empty text."""
    found = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def _error(name: str, mark: Any, what: str, hint: str) -> GateFileError:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return GateFileError(
        f"{name}, line {line}, column {column}: {what}",
        hint=hint or "An example: genops gates init --print",
        details={"line": line, "column": column},
    )
