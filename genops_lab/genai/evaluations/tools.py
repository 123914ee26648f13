"""Answer calls of tools from rows, tables and functions, so that an agent is evaluated without the real ones."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.scorers.base import CannotScore
from genops_lab.genai.scorers.sandbox.sandbox import Bounds, run

from .conversation_file import Tool
from .rows import read_rows

_MOST = 100_000
_MARK = "genops-answer "
#: Calls the function with as many of its three arguments as it takes. What it prints itself is not the answer.
_PROGRAM = """
import inspect, json, os, runpy, sys
given = json.load(sys.stdin)
there = runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), given["file"]))
function = there.get(given["function"])
if not callable(function):
    sys.exit(f"{given['file']} has no function {given['function']!r}")
count = sum(each.kind < each.KEYWORD_ONLY for each in inspect.signature(function).parameters.values())
found = function(*[given["arguments"], given["row"], given["calls"]][:count])
print("\\n" + given["mark"] + json.dumps(found, default=str))
"""


class Tools:
    """The tools of an evaluation file. ``folder`` has the files that they name. Methods block."""

    def __init__(self, tools: Sequence[Tool], folder: Path) -> None:
        self._tools = {each.name: each for each in tools}
        self._folder = folder
        self._tables: dict[str, list[dict[str, Any]]] = {}

    def answer(
        self, name: str, given: str, row: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return what a tool answers to arguments in JSON. ``calls``: earlier ``{name, arguments, answer}``.

        A wrong name or wrong arguments are told to the model, as a real tool would. Raises CannotScore where a function
        cannot run here.
        """
        tool = self._tools.get(name)
        if tool is None:
            return _error(f"There is no tool {name[:80]!r}. There are: {', '.join(self._tools)}.")
        try:
            arguments = json.loads(given or "{}")
        except ValueError as error:
            return _error(f"The arguments are not JSON: {error}.")
        if not isinstance(arguments, dict):
            return _error("The arguments must be an object.")
        problem = _problem(tool, arguments)
        if problem:
            return _error(problem)
        if tool.column:
            found = _of_column(row.get(tool.column), arguments)
        elif tool.table:
            found = self._of_table(tool, arguments)
        else:
            found = self._of_function(tool, arguments, row, calls)
        text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, default=str)
        return text[:_MOST]

    def _of_table(self, tool: Tool, arguments: Mapping[str, Any]) -> Any:
        if tool.table not in self._tables:
            self._tables[tool.table] = list(read_rows(self._folder / tool.table).by_id.values())
        table = self._tables[tool.table]
        names = [name for name in arguments if name in table[0]]
        found = [
            each for each in table if all(_same(each[name], arguments[name]) for name in names)
        ]  # fmt: skip
        if not found:
            return json.loads(_error("Nothing was found."))
        answers = [
            each["answer"] if "answer" in each else {k: v for k, v in each.items() if k not in names}
            for each in found
        ]
        return answers[0] if len(answers) == 1 else answers

    def _of_function(
        self, tool: Tool, arguments: Any, row: Mapping[str, Any], calls: Sequence[Mapping[str, Any]]
    ) -> Any:
        file, _, function = tool.function.partition(":")
        mark = _MARK + secrets.token_hex(8)
        given = {
            "file": f"tool_{Path(file).name}", "function": function, "arguments": arguments, "row": row,
            "calls": calls, "mark": mark,
        }  # fmt: skip
        text = (self._folder / file).read_text(encoding="utf-8")
        stdin = json.dumps(given, default=str)
        found = run(
            _PROGRAM, files={given["file"]: text}, stdin=stdin, bounds=Bounds(timeout_s=tool.timeout_s)
        )
        if found.code == 125:  # the sandbox itself
            raise CannotScore(f"The tool {tool.name} cannot run: {found.errors[-300:]}")
        for line in reversed(found.out.splitlines()):
            if line.startswith(mark):
                return json.loads(line.removeprefix(mark))
        last = found.errors.strip().splitlines()[-1:] or [found.why or f"it ended with {found.code}"]
        return json.loads(_error(f"{tool.name} failed: {last[0][:300]}"))


def check_files(tools: Sequence[Tool], folder: Path) -> None:
    """Check that the files of tools can be read. Raises InvalidRequest, NotFound."""
    for tool in tools:
        if tool.table:
            read_rows(folder / tool.table)
        elif tool.function:
            file, _, name = tool.function.partition(":")
            text = (folder / file).read_text(encoding="utf-8")
            try:
                compile(text, file, "exec")
            except SyntaxError as error:
                raise InvalidRequest(
                    f"{file}, line {error.lineno}, is not Python: {error.msg}.",
                    hint=f"Mend it, so that the tool {tool.name} can call {name}.",
                ) from error


def _of_column(value: Any, arguments: Mapping[str, Any]) -> Any:
    """Return the answer in a row: of a list of pairs that with the same arguments."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":  # a CSV file has texts
        try:
            value = json.loads(value)
        except ValueError:
            return value
    pairs = isinstance(value, list) and all(isinstance(each, dict) and "answer" in each for each in value)
    if not pairs:
        return json.loads(_error("Nothing was found.")) if value is None else value
    for each in value:
        wanted = each.get("arguments") or {}
        if all(name in arguments and _same(arguments[name], wanted[name]) for name in wanted):
            return each["answer"]
    return json.loads(_error("Nothing was found."))


def _problem(tool: Tool, arguments: Any) -> str:
    """Say why arguments do not keep to the tool's schema; empty: they do."""
    import jsonschema
    import referencing

    kind = jsonschema.validators.validator_for(tool.parameters)
    error = next(kind(tool.parameters, registry=referencing.Registry()).iter_errors(arguments), None)
    return f"The arguments do not keep to the schema: {error.message[:200]}." if error else ""


def _same(one: Any, other: Any) -> bool:
    return one == other or str(one).strip().casefold() == str(other).strip().casefold()


def _error(what: str) -> str:
    return json.dumps({"error": what})
