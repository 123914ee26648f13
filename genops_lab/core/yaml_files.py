"""Read a file of people's in YAML into a struct; an error names the line, the column and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import yaml

from .errors import InvalidRequest

T = TypeVar("T", bound=msgspec.Struct)

MAX_BYTES = 200_000
MAX_NODES = 5_000
MAX_DEPTH = 20
_TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "array": "a list",
    "object": "keys with values",
    "null": "nothing",
}
_AT = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<given>[^`]+)`")
_RANGE = re.compile(r"Expected `\w+` (?P<bound>.+)")
_BOUNDS = {">= ": "at least ", "<= ": "at most ", "> ": "more than ", "< ": "less than "}
_SCALARS = {f"tag:yaml.org,2002:{each}" for each in ("str", "int", "float", "bool", "null")}


class YamlFileError(InvalidRequest):
    """A file cannot be used. ``details`` has the line and the column, from 1."""


@dataclass(frozen=True, kw_only=True)
class YamlKind(Generic[T]):
    """A kind of file: the struct of its content, and what its errors say.

    ``words`` are the values of the keys that have a list of them. ``example`` is the hint of last resort. ``fewer``
    says what to leave out of a file that is too long. ``shapes`` say what a key ``must be`` whose text has a pattern. A
    file has at ``most`` so many characters.
    """

    content: type[T]
    error: type[YamlFileError]
    example: str
    fewer: str
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: Mapping[str, str] = field(default_factory=dict)
    most: int = MAX_BYTES

    def read(self, text: str, name: str) -> T:
        """Return the content of a file's text. ``name`` stands in errors. Raises the kind's error.

        Aliases and merge keys are refused: a kilobyte of them stands for any number of nodes.
        """
        if len(text) > self.most:
            raise self.error(
                f"{name} has {len(text):,} characters.", hint=f"Use at most {self.most:,} characters."
            )
        try:
            root = self._composed(text, name)
            places: dict[str, yaml.Node] = {}
            found = self._value(root, "", places, name) if root is not None else {}
        except yaml.MarkedYAMLError as error:
            raise self._error(name, error.problem_mark, f"this is not YAML: {error.problem}.", "") from error
        except (yaml.YAMLError, ValueError) as error:
            raise self.error(f"{name} is not YAML: {error}", hint="Write a text file in UTF-8.") from error
        try:
            return msgspec.convert(found, self.content)
        except msgspec.ValidationError as error:
            raise self._explained(str(error), found, places, root, name) from error

    def _composed(self, text: str, name: str) -> yaml.Node | None:
        depth = 0
        for nodes, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "value", "") == "<<":
                raise self._error(
                    name, event.start_mark, "aliases and merge keys are not allowed.", "Write the part again."
                )
            if nodes > MAX_NODES or depth > MAX_DEPTH:
                what = f"it has over {MAX_NODES:,} parts or {MAX_DEPTH} levels."
                raise self._error(name, event.start_mark, what, self.fewer)
        found: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        return found

    def _value(self, node: yaml.Node, path: str, places: dict[str, yaml.Node], name: str) -> Any:
        """Return the value of a node, and remember where it and its keys stand."""
        places[path] = node
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, f"{path}[{at}]", places, name) for at, each in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise self._error(name, key.start_mark, "a key must be a word.", "")
                if key.value in found:
                    what = f"the key {key.value!r} comes twice."
                    raise self._error(name, key.start_mark, what, "Keep one of them.")
                places[f"{path}.{key.value}#"] = key
                found[key.value] = self._value(value, f"{path}.{key.value}", places, name)
            return found
        if node.tag in _SCALARS:
            return yaml.SafeLoader("").construct_object(node)
        if node.tag.startswith("tag:yaml.org,2002:timestamp"):
            return node.value
        raise self._error(name, node.start_mark, f"the tag {node.tag!r} is not allowed.", "Remove it.")

    def _explained(
        self, message: str, found: Any, places: dict[str, yaml.Node], root: yaml.Node | None, name: str
    ) -> YamlFileError:
        """Return msgspec's error in words, with the place that it names."""
        parts = _AT.match(message)
        assert parts is not None
        what, path = parts["what"], self._named(parts["path"] or "", message, found)
        node = places.get(path, root)
        key = path.rpartition(".")[2]
        word = re.sub(r"\[\d+\]$", "", key)
        holder = path.rpartition(".")[0].rpartition(".")[2]
        shaped = next((each for each in (word, holder) if each in self.shapes), "")
        unknown = re.match(r"Object contains unknown field `(.*)`", what, re.DOTALL)
        missing = re.match(r"Object missing required field `(.*)`", what)
        expected, bounds = _EXPECTED.match(what), _RANGE.match(what)
        hint = self.example
        if unknown is not None:
            node = places.get(f"{path}.{unknown[1]}#", node)
            known = _keys(self.content, path, found)
            what = f"the key {unknown[1]!r} is unknown."
            hint = nearest(unknown[1], known) or (f"Known keys: {', '.join(known)}." if known else hint)
        elif missing is not None:
            what = f"the key {missing[1]!r} is missing."
            words = self.words.get(missing[1])
            hint = f"Words for {missing[1]}: {', '.join(words)}." if words else hint
        elif "Invalid value" in what or "Invalid enum value" in what:
            given = str(getattr(node, "value", ""))
            what = f"the {key} {given!r} is unknown."
            words = self.words.get(word, ())
            hint = nearest(given, words) or f"Known: {', '.join(words)}."
        elif expected is not None:
            kinds = [each.strip() for each in expected["wanted"].split("|")]
            wanted = " or ".join(_TYPES.get(each, each) for each in kinds if each != "null")
            given = _TYPES.get(expected["given"], expected["given"])
            what = f"{repr(key) if key else 'the file'} must be {wanted}, not {given}."
        elif bounds is not None and shaped:
            what = f"{(key if shaped == word else shaped)!r} {self.shapes[shaped]}."
        elif bounds is not None:
            bound = bounds["bound"]
            for sign, words_of in _BOUNDS.items():
                bound = bound.replace(sign, words_of)
            what = f"{key!r} must be {bound}."
        else:
            what = what[:1].lower() + what[1:]
        return self._error(name, getattr(node, "start_mark", None), what, hint)

    def _named(self, path: str, message: str, found: Any) -> str:
        """Return a path with the keys for which msgspec writes ``[...]``: those whose value alone has the error."""
        while "[...]" in path:
            head, _, tail = path.partition("[...]")
            holder: Any = found
            for part in filter(None, head.split(".")):
                holder = holder[part] if isinstance(holder, dict) else None
            items = dict(holder) if isinstance(holder, dict) else {}
            at = next(
                (key for key, value in items.items() if self._fails(found, holder, key, value, message)), ""
            )
            path = f"{head}.{at}{tail}" if at and "." not in at else f"{head}{tail}"
        return path

    def _fails(self, found: Any, holder: dict[str, Any], key: str, value: Any, message: str) -> bool:
        whole = dict(holder)
        holder.clear()
        holder[key] = value
        try:
            msgspec.convert(found, self.content)
        except msgspec.ValidationError as error:
            return str(error) == message
        else:
            return False
        finally:
            holder.clear()
            holder.update(whole)

    def _error(self, name: str, mark: Any, what: str, hint: str) -> YamlFileError:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return self.error(
            f"{name}, line {line}, column {column}: {what}",
            hint=hint or self.example,
            details={"line": line, "column": column},
        )


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint with similar words, or an empty text."""
    found = difflib.get_close_matches(word, list(known), n=2, cutoff=0.6)
    return f"Did you mean {' or '.join(found)}?" if found else ""


def _keys(root: type[msgspec.Struct], path: str, found: Any) -> list[str]:
    """Return the keys that the mapping at a path, such as ``.rules[0]``, may have."""
    import msgspec.inspect as types

    kind: types.Type = types.type_info(root)
    for name, at in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path):
        if name and isinstance(kind, types.StructType):
            kind = next(each.type for each in kind.fields if each.encode_name == name)
            found = found[name]
        elif at and isinstance(kind, types.ListType):
            kind, found = kind.item_type, found[int(at)]
        elif name and isinstance(kind, types.DictType):
            kind, found = kind.value_type, found[name]
        if isinstance(kind, types.UnionType):
            wanted = types.ListType if isinstance(found, list) else types.StructType
            kinds = [each for each in kind.types if isinstance(each, wanted)]
            kind = next((each for each in kinds if _is_tagged(each, found)), kinds[0])
    if not isinstance(kind, types.StructType):  # below a key with a dot, which a path does not show
        return []
    tag = [kind.tag_field] if kind.tag_field else []
    return [*tag, *(each.encode_name for each in kind.fields)]


def _is_tagged(kind: Any, found: Any) -> bool:
    tag_field = getattr(kind, "tag_field", None)
    return tag_field is not None and kind.tag == found.get(tag_field)


def kind_in(text: str) -> str:
    r"""Return the value of the first line ``kind: VALUE`` of a text, or an empty text.

    >>> kind_in("# rules\nkind: Gates\n")
    'Gates'
    """
    found = re.search(r"(?m)^kind:[ \t]*['\"]?(\w+)", text[:MAX_BYTES])
    return found[1] if found else ""
