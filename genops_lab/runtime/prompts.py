"""Prompts in a notebook or a script: ``%%prompt NAME``, ``genops.prompts.load("NAME@ALIAS")``.

A prompt is one of MLflow's: its own UI shows what is saved here. A text whose first line is ``system:``, ``user:``
or ``assistant:`` is a chat; each such line begins a turn. Any other text is one message of the user.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from weakref import WeakKeyDictionary

from .errors import GenOpsError
from .lab import call, segment
from .state import runs

_ROLE = re.compile(r"(system|user|assistant):[ \t]*(.*)")
_VARIABLE = re.compile(r"\{\{\s*([a-zA-Z_][a-zA-Z0-9_]*(?:\.[a-zA-Z_][a-zA-Z0-9_]*)*)\s*\}\}")
#: MLflow's tag of the prompts that a run used.
_LINKED = "mlflow.linkedPrompts"
_linked: "WeakKeyDictionary[Any, List[Dict[str, str]]]" = WeakKeyDictionary()


class Prompt(NamedTuple):
    """A version of a prompt.

    ``turns``: messages with role and content, and ``{{variables}}``. ``response_format``: the JSON Schema of an
    answer. ``tools`` and ``settings`` are those of a call, as OpenAI's API takes them.
    """

    name: str
    version: int
    kind: str
    turns: List[Dict[str, Any]]
    variables: List[str]
    response_format: Optional[Dict[str, Any]]
    tools: List[Dict[str, Any]]
    settings: Dict[str, Any]
    aliases: List[str]
    tags: Dict[str, str]

    def messages(self, **values: Any) -> List[Dict[str, Any]]:
        """Return the messages with values in place of the variables. Raises GenOpsError for a missing value.

        Example::

            genops.prompts.load("capital").messages(country="Peru")
        """
        missing = [each for each in self.variables if _value(values, each) is None]
        if missing:
            raise GenOpsError(
                f"The prompt {self.name!r} version {self.version} has no value for {', '.join(missing)}.",
                f"Give each variable: {', '.join(f'{each}=...' for each in self.variables)}",
            )
        return [_filled(turn, values) for turn in self.turns]

    def format(self, **values: Any) -> Any:
        """Return the text of a text prompt, or the messages of a chat, with values in place of the variables."""
        messages = self.messages(**values)
        return messages[0]["content"] if self.kind == "text" else messages

    def _repr_markdown_(self) -> str:
        turns = "\n\n".join(f"**{turn['role']}**\n\n{_fenced(turn)}" for turn in self.turns)
        return f"{self.name} version {self.version}\n\n{turns}"


def load(name: str) -> Prompt:
    """Return a version of a prompt: ``"NAME"`` (the newest), ``"NAME@ALIAS"``, ``"NAME/2"`` or MLflow's URI.

    Example::

        prompt = genops.prompts.load("capital@production")
        genops.chat("llama", prompt.messages(country="Peru"), **prompt.settings)

    The run that is open keeps that it used this version, where MLflow's own UI shows it. Raises GenOpsError for
    a prompt that does not exist, and LabAway.
    """
    found = _prompt(call("GET", _path(*parsed(name))))
    if found.turns == []:
        raise GenOpsError(
            f"The prompt {found.name!r} version {found.version} cannot be read.",
            "Open it in the page Prompts.",
        )
    _link(found)
    return found


def save(
    name: str,
    text: str,
    *,
    message: str = "",
    alias: str = "",
    tags: Optional[Mapping[str, Any]] = None,
    response_format: Optional[Mapping[str, Any]] = None,
    tools: Optional[List[Mapping[str, Any]]] = None,
    settings: Optional[Mapping[str, Any]] = None,
) -> Prompt:
    """Save a text as the next version of a prompt, and return it. The same content makes no other version.

    Example::

        genops.prompts.save("capital", "system: Answer in one word.\\nuser: Capital of {{country}}?")

    ``message`` says what changed. ``alias`` is pointed at the version. Raises GenOpsError, and LabAway.
    """
    kind, turns = turns_of(text)
    body = {
        "kind": kind, "turns": turns, "message": message, "alias": alias,
        "tags": {key: str(value) for key, value in (tags or {}).items()},
        "response_format": response_format, "tools": tools or [], "settings": settings or {},
    }  # fmt: skip
    return _prompt(call("POST", f"/v1/prompts/{segment(name)}/versions", body)["version"])


def prompt_cell(line: str, cell: str) -> Prompt:
    """Run ``%%prompt``: save the cell's text. Raises GenOpsError."""
    from .options import cell_options, prompt_parser

    options = cell_options(prompt_parser(), line)
    if not cell.strip():
        raise GenOpsError("The cell has no text below %%prompt.", "Write the prompt into the cell.")
    return save(options.name, cell.strip("\n"), message=options.message, alias=options.alias)


def turns_of(text: str) -> Tuple[str, List[Dict[str, str]]]:
    """Return the kind of a prompt ("text" or "chat") and its turns.

    >>> turns_of("system: Be brief.\\nuser:\\nHello {{name}}")[1][1]
    {'role': 'user', 'content': 'Hello {{name}}'}
    """
    lines = text.strip().splitlines()
    if not lines or not _ROLE.fullmatch(lines[0]):
        return "text", [{"role": "user", "content": text}]
    turns: List[Tuple[str, List[str]]] = []
    for line in lines:
        begins = _ROLE.fullmatch(line)
        if begins:
            turns.append((begins[1], [begins[2]] if begins[2] else []))
        else:
            turns[-1][1].append(line)
    return "chat", [{"role": role, "content": "\n".join(content).strip("\n")} for role, content in turns]


def parsed(name: str) -> Tuple[str, str]:
    """Return the name of a prompt and its version or alias.

    >>> parsed("prompts:/capital@production"), parsed("capital/2"), parsed("capital")
    (('capital', 'production'), ('capital', '2'), ('capital', 'latest'))
    """
    plain = name.strip()
    if plain.startswith("prompts:/"):
        plain = plain[len("prompts:/") :]
    for separator in ("@", "/"):
        before, found, after = plain.partition(separator)
        if found and before and after:
            return before, after
    if not plain:
        raise GenOpsError("The prompt has no name.", 'Give NAME, "NAME@ALIAS" or "NAME/2".')
    return plain, "latest"


def _path(name: str, version: str) -> str:
    return f"/v1/prompts/{segment(name)}/versions/{segment(version)}"


def _prompt(found: Dict[str, Any]) -> Prompt:
    turns = [
        {"role": each["role"], "content": each.get("parts") or each.get("content", "")}
        for each in found["turns"]
    ]
    return Prompt(
        found["name"], int(found["version"]), found["kind"], turns, found["variables"],
        found["response_format"], found["tools"], found["settings"], found["aliases"], found["tags"],
    )  # fmt: skip


def _link(prompt: Prompt) -> None:
    """Have the open run keep the version; without a run do nothing."""
    current = runs.current
    if current is None or runs.muted:
        return
    used = _linked.setdefault(current, [])
    entry = {"name": prompt.name, "version": str(prompt.version)}
    if entry not in used:
        used.append(entry)
        current.tag({_LINKED: json.dumps(used)})


def _value(values: Mapping[str, Any], name: str) -> Any:
    """Return a variable's value; ``a.b`` is the entry or attribute ``b`` of ``a``."""
    if name in values:
        return values[name]
    first, *rest = name.split(".")
    found = values.get(first)
    for part in rest:
        found = found.get(part) if isinstance(found, Mapping) else getattr(found, part, None)
    return found


def _filled(turn: Dict[str, Any], values: Mapping[str, Any]) -> Dict[str, Any]:
    return {"role": turn["role"], "content": _with_values(turn["content"], values)}


def _with_values(content: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(content, str):
        return _VARIABLE.sub(lambda found: str(_value(values, found[1])), content)
    if isinstance(content, list):
        return [_with_values(each, values) for each in content]
    if isinstance(content, dict):
        return {key: _with_values(each, values) for key, each in content.items()}
    return content


def _fenced(turn: Dict[str, Any]) -> str:
    content = turn["content"]
    return f"```\n{content if isinstance(content, str) else json.dumps(content, indent=2)}\n```"
