"""Read a model's YAML files, which may be hostile, with limits on size, depth and work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

#: A signature of 10,000 columns takes 600 kB.
MAX_BYTES = 2_000_000
MAX_NODES = 20_000
MAX_DEPTH = 50
MAX_FLAVORS = 50
MAX_NAME = 200


class UnreadableModel(ValueError):
    """A model's file cannot be read; the text completes "... cannot be read:"."""


class ModelDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an MLmodel file that GenOps Lab uses. ``loader`` is empty if no pyfunc flavor names one."""

    flavors: dict[str, dict[str, Any]]
    loader: str = ""
    python_version: str = ""

    @property
    def names(self) -> list[str]:
        """The flavors, ``python_function`` last, because nearly every model has it."""
        return sorted(self.flavors, key=lambda name: (name == "python_function", name))


def read_description(file: Path) -> ModelDescription:
    """Read the MLmodel file ``file``. Raises UnreadableModel, and OSError if it cannot be opened."""
    return parse_description(bounded_bytes(file))


def parse_description(content: bytes) -> ModelDescription:
    """Parse an MLmodel file's content. Raises UnreadableModel."""
    found = parse_yaml(content)
    if not isinstance(found, dict):
        raise UnreadableModel("it is not a mapping")
    flavors = found.get("flavors") or {}
    if not isinstance(flavors, dict) or not all(isinstance(each, dict) for each in flavors.values()):
        raise UnreadableModel("its flavors are not a mapping of mappings")
    if len(flavors) > MAX_FLAVORS or any(len(name) > MAX_NAME for name in flavors):
        raise UnreadableModel(
            f"it has over {MAX_FLAVORS} flavors, or one with a name over {MAX_NAME} characters"
        )
    pyfunc = flavors.get("python_function", {})
    return ModelDescription(
        flavors=flavors,
        loader=_name(pyfunc, "loader_module"),
        python_version=_name(pyfunc, "python_version"),
    )


def bounded_bytes(file: Path, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a plain file. Raises UnreadableModel for a larger one, and OSError."""
    if file.exists() and not file.is_file():  # a pipe would never answer
        raise UnreadableModel("it is not a plain file")
    with file.open("rb") as stream:
        return _bounded(stream.read(limit + 1), limit)


def parse_yaml(content: bytes) -> Any:
    """Return mappings, lists and strings (numbers stay as written). Raises UnreadableModel.

    Aliases and merge keys are refused: a kilobyte of them stands for any number of nodes. The work is counted
    before anything is built.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    nodes = depth = 0
    try:
        for event in yaml.parse(_bounded(content, MAX_BYTES), Loader=loader):
            nodes += 1
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "value", "") == "<<":
                raise UnreadableModel("it repeats parts of itself by aliases or merge keys")
            if nodes > MAX_NODES or depth > MAX_DEPTH:
                raise UnreadableModel(f"it has over {MAX_NODES:,} parts or {MAX_DEPTH} levels")
        return yaml.load(content, Loader=loader)  # noqa: S506  BaseLoader makes only strings, lists and dicts
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, UnreadableModel):
            raise
        raise UnreadableModel("it is not YAML") from error


def _bounded(content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise UnreadableModel(f"it is larger than {limit:,} bytes")
    return content


def _name(flavor: dict[str, Any], key: str) -> str:
    found = flavor.get(key, "")
    if not isinstance(found, str) or len(found) > MAX_NAME:
        raise UnreadableModel(f"its {key} is not a name of at most {MAX_NAME} characters")
    return found
