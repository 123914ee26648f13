"""Outputs of a cell one by one, as JupyterLab's output model holds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_SPECIAL = re.compile("([\n\b\r])")


class StreamText:
    """Text with a cursor: carriage returns and backspaces do what they do in JupyterLab's output model.

    Only the last line can still change, so the others are kept as they came.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []  # parts of the last line; the cursor is at its end unless _column is set
        self._column: int | None = None
        self.size = 0

    def add(self, text: str) -> None:
        """Append what a kernel wrote."""
        if self._column is None and "\r" not in text and "\b" not in text:
            head, newline, rest = text.rpartition("\n")
            if newline:
                self._lines += [*self._line, head, newline]
                self._line = []
            if rest:
                self._line.append(rest)
            self.size += len(text)
            return
        line = "".join(self._line)
        self.size -= len(line)
        column = len(line) if self._column is None else self._column
        for part in _SPECIAL.split(text):
            if part == "\n":
                self._lines += [line, "\n"]
                self.size += len(line) + 1
                line, column = "", 0
            elif part == "\r":
                column = 0
            elif part == "\b":
                if column > 0:  # JupyterLab takes the character under the cursor as well
                    line = line[: column - 1] + line[column + 1 :]
                    column -= 1
            elif part:
                line = line[:column] + part + line[column + len(part) :]
                column += len(part)
        self._line = [line] if line else []
        self._column = None if column == len(line) else column
        self.size += len(line)

    @property
    def at_line_start(self) -> bool:
        """Whether nothing of what is held can still change."""
        return not self._line

    def __str__(self) -> str:
        return "".join(self._lines) + "".join(self._line)


class Stream:
    """A part of a stream; ``continues`` the one before it. ``is_kept``: the file with all text has it."""

    def __init__(self, name: str, continues: bool) -> None:
        self.name = name
        self.continues = continues
        self.text = StreamText()
        self.is_kept = False

    @property
    def cost(self) -> int:
        """Characters."""
        return self.text.size

    @property
    def size(self) -> int:
        """About how many bytes."""
        return self.text.size

    @property
    def plain(self) -> str:
        """What a text file shows of it."""
        return str(self.text)


class Fixed:
    """Any other output of about ``size`` bytes. A display's data may be replaced later.

    What is drawn costs a browser less than text of its size, so it counts as a tenth.
    """

    def __init__(self, output: dict[str, Any], size: int) -> None:
        self.output = output
        self.size = size
        self.cost = size // 10
        self.is_kept = False

    @property
    def plain(self) -> str:
        """What a text file shows of it."""
        if self.output["output_type"] == "error":
            return "\n".join(map(str, self.output["traceback"])) + "\n"
        data = self.output.get("data", {})
        text = data.get("text/plain", "") if isinstance(data, dict) else ""
        return ("".join(text) if isinstance(text, list) else str(text)) + "\n"


def as_notebook(items: Iterable[Stream | Fixed]) -> list[dict[str, Any]]:
    """The notebook's form of outputs; parts of a stream become one."""
    found: list[dict[str, Any]] = []
    growing: list[str] | None = None
    for item in items:
        if isinstance(item, Fixed):
            found.append(dict(item.output))
            growing = None
        elif item.continues and growing is not None:
            growing.append(str(item.text))
        else:
            growing = [str(item.text)]
            found.append({"output_type": "stream", "name": item.name, "text": growing})
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = "".join(output["text"])
    return found
