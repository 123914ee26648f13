"""Judge text, and parse JSON within bounds."""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any

from .judged import Judged, code, data, unknown
from .source import Damaged, Source, TooLarge

MAX_JSON_BYTES = 4_000_000
_HEAD_BYTES = 65_536
#: Extensions of text that programs read as data.
_DATA = frozenset(
    [
        ".bpe",
        ".cfg",
        ".conf",
        ".csv",
        ".ini",
        ".jinja",
        ".jinja2",
        ".json",
        ".jsonl",
        ".lgb",
        ".log",
        ".md",
        ".merges",
        ".rst",
        ".tsv",
        ".txt",
        ".toml",
        ".vocab",
        ".xgb",
        ".yaml",
        ".yml",
    ]
)
_NAMES = frozenset(
    ["mlmodel", "license", "licence", "notice", "readme", "copying", ".gitattributes", ".gitignore"]
)
#: Other names of configurations that name classes to import.
_NAMING = ("modules.json", "model_index.json")
_SCRIPTS = {
    ".py": "Python",
    ".pyw": "Python",
    ".pyi": "Python",
    ".pyx": "Python",
    ".sh": "shell",
    ".bat": "shell",
    ".ps1": "shell",
    ".js": "JavaScript",
    ".r": "R",
    ".jl": "Julia",
    ".lua": "Lua",
    ".cu": "CUDA",
    ".cpp": "C++",
}
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_PYTHON_TAG = re.compile(rb"!!python|tag:yaml\.org,2002:python")
_TOO_DEEP = "It is JSON of too many levels."


def parse_json(content: bytes, *, unique: bool = False) -> Any:
    """Return what JSON says. Raises Damaged, also for names that come twice if ``unique``."""

    def number(text: str) -> int:
        if len(text) > 20:  # the time of int() grows with the square
            raise Damaged("It has a number of over 20 digits.")
        return int(text)

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(found)
        if len(whole) != len(found):
            raise Damaged("It names the same thing twice.")
        return whole

    try:
        return json.loads(
            content.decode("utf-8"), parse_int=number, object_pairs_hook=pairs if unique else None
        )
    except Damaged:
        raise
    except RecursionError:
        raise Damaged(_TOO_DEEP) from None
    except ValueError as error:
        raise Damaged("It is not valid JSON.") from error


def json_of(source: Source, limit: int = MAX_JSON_BYTES) -> Any:
    """Return what a JSON file says. Raises Damaged and TooLarge."""
    if source.size > limit:
        raise TooLarge(f"It was not read: it is over {limit // 1_000_000} MB.")
    return parse_json(source.read(0, source.size))


def judge_text(source: Source, name: str) -> Judged | None:
    """Judge a source that is text; None if it is not."""
    head = source.head(_HEAD_BYTES)
    if _CONTROL.search(head):
        return None
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.end < len(head) or len(head) == source.size:
            return None
    stem, extension = posixpath.splitext(posixpath.basename(name).lower())
    if extension in _SCRIPTS:
        return code(f"{_SCRIPTS[extension]} code", f"It is {_SCRIPTS[extension]} code.")
    if head.startswith(b"#!"):
        return code("script", "It is a script.")
    if extension in (".json", ".jsonl"):
        return _judge_json(source, stem + extension, extension)
    if extension in (".yaml", ".yml") or stem == "mlmodel":
        return _judge_yaml(source)
    if extension in _DATA or stem in _NAMES or stem + extension in _NAMES:
        return data("text")
    return unknown("text", "It is text of an unknown kind.")


def _judge_json(source: Source, name: str, extension: str) -> Judged:
    if extension == ".jsonl":
        return data("JSON")
    if source.size > MAX_JSON_BYTES and "config" not in name and name not in _NAMING:
        return data("JSON")  # such as a tokenizer of 10 MB: only configurations name code
    try:
        found = json_of(source)
    except Damaged as error:
        return unknown("JSON", str(error))
    named = _named_code(found, name)
    if named:
        return code(
            "JSON",
            f"It names {named}, which loads Python code that comes with the model, from a hub or a package.",
        )
    if isinstance(found, dict) and _text(found, "chat_template"):
        return data(
            "JSON", "It has a chat template: a program that renders it outside of a sandbox runs it as code."
        )
    return data("JSON")


def _judge_yaml(source: Source) -> Judged:
    if source.size > MAX_JSON_BYTES:
        raise TooLarge(f"It was not read: it is over {MAX_JSON_BYTES // 1_000_000} MB.")
    content = source.read(0, source.size)
    if _PYTHON_TAG.search(content):
        return code("YAML", "It has tags of Python objects: a YAML loader that allows them runs code.")
    return data("YAML")


def _named_code(found: Any, name: str) -> str:
    """Return what in a configuration makes a library import code that the model chooses; "" for nothing."""
    if name == "modules.json" and isinstance(found, list):
        types = [str(each.get("type")) for each in found if isinstance(each, dict)]
        return next((repr(each[:60]) for each in types if not each.startswith("sentence_transformers.")), "")
    if not isinstance(found, dict):
        return ""
    for key in ("auto_map", "custom_generate", "custom_pipelines"):
        if found.get(key):
            return key
    mapping = found.get("auto_mapping")
    if isinstance(mapping, dict):
        library = _text(mapping, "parent_library").split(".")[0]
        if library not in ("", "transformers", "diffusers", "peft", "torch"):
            return f"the library {library[:40]!r}"
    return ""


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
