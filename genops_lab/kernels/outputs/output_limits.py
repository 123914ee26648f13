"""Keep the outputs of one run of a cell as JupyterLab's output area would, within limits.

The middle of outputs that are too large for a browser is left out. Which outputs are the first ones follows
from the messages alone: the recorder and every page's connection find the same.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from .full_text import OverflowFile

_SPECIAL = re.compile("([\n\b\r])")
MAX_BYTES = 1_000_000
MAX_OUTPUTS = 2_000
#: A long stream is kept in parts, so that its middle can be left out. A line longer than two parts loses the
#: carriage returns that go back further.
MIN_PART_BYTES = 64
#: The most displays between texts that are shown, and the most errors.
KEPT_DISPLAYS = 100
KEPT_ERRORS = 20

#: The front end renders it (``src/kernels/outputs``); other programs show the text.
EXCERPT_MIME = "application/vnd.genops.output-excerpt+json"
TAIL_LINES = 20
TAIL_CHARACTERS = 4000


class StreamText:
    """Text with a cursor: carriage returns and backspaces act as in JupyterLab's output model.

    Only the last line can still change, so the others are kept as they came.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []  # parts of the last line; the cursor is at its end unless _column is set
        self._column: int | None = None
        self.size = 0

    def add(self, text: str) -> None:
        """Append a kernel's text."""
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
                if column > 0:  # JupyterLab also takes the character under the cursor
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
        """Return whether none of the kept text can still change."""
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
        """Approximate bytes."""
        return self.text.size

    @property
    def plain(self) -> str:
        """Return the form of the output in a text file."""
        return str(self.text)


class Fixed:
    """Any other output of about ``size`` bytes. A display's data may be replaced later.

    A drawn output costs a browser less than text of its size, so it counts as a tenth.
    """

    def __init__(self, output: dict[str, Any], size: int) -> None:
        self.output = output
        self.size = size
        self.cost = size // 10
        self.is_kept = False

    @property
    def plain(self) -> str:
        """Return the form of the output in a text file."""
        if self.output["output_type"] == "error":
            return "\n".join(map(str, self.output["traceback"])) + "\n"
        data = self.output.get("data", {})
        text = data.get("text/plain", "") if isinstance(data, dict) else ""
        return ("".join(text) if isinstance(text, list) else str(text)) + "\n"


def as_notebook(items: Iterable[Stream | Fixed]) -> list[dict[str, Any]]:
    """Return the notebook's form of outputs; parts of a stream become one."""
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


class OutputArea:
    """Takes outputs one by one; ``outputs`` are the notebook's. ``kernel_id`` and ``msg_id`` name their run."""

    def __init__(
        self,
        overflow: OverflowFile | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        max_outputs: int = MAX_OUTPUTS,
        kernel_id: str = "",
        msg_id: str = "",
    ) -> None:
        self.kernel_id, self.msg_id = kernel_id, msg_id
        self._max_bytes, self._max_outputs = max_bytes, max_outputs
        self._tail_bytes_max = max(1, max_bytes // 8)
        self._tail_outputs_max = max(1, max_outputs // 10)
        self._part_bytes = max(MIN_PART_BYTES, max_bytes // 32)
        self._overflow = overflow
        self._finished = False
        self._clear_next = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._head: list[Stream | Fixed] = []
        self._kept: list[Fixed] = []
        self._tail: deque[Stream | Fixed] = deque()
        self._head_bytes = self._tail_bytes = 0
        #: whether no later output is among the first ones
        self.cut = False
        self._keeps_displays = True
        self._lines_out = self._bytes_out = self._displays_out = 0
        self._stream: Stream | None = None  # the last output, while it can grow

    def begin_cut(self, lines: int, size: int, displays: int) -> None:
        """Continue where another object has cut: these amounts are already not shown."""
        self.cut = True
        self._lines_out, self._bytes_out, self._displays_out = lines, size, displays

    @property
    def left_out(self) -> tuple[int, int, int]:
        """Return the lines, bytes and displays that are not shown when the cell ends now."""
        return self._lines_out, self._bytes_out, self._displays_out

    @property
    def size(self) -> int:
        """Approximate bytes that are kept."""
        return self._head_bytes + self._tail_bytes

    @property
    def full_output(self) -> str:
        """The file with all text, once a part is not shown."""
        return self._overflow.path if self.cut and self._overflow is not None else ""

    def clear(self, wait: bool = False) -> None:
        """Handle ``clear_output``: now, or with the next output."""
        self._stream = None
        if wait:
            self._clear_next = True
            return
        self._clear_now()

    def stream(self, name: str, text: str) -> int:
        """Add standard output or error; return how much of ``text`` is among the first outputs."""
        self._clear_if_due()
        shown = 0
        for piece in _pieces(text, self._part_bytes):
            last = self._stream
            if last is None or last.name != name:
                last = self._append_stream(name, continues=False)
            elif last.is_kept or (
                last.cost > self._part_bytes and (last.text.at_line_start or last.cost > 2 * self._part_bytes)
            ):
                last = self._append_stream(name, continues=True)
            before = last.cost
            last.text.add(piece)
            self._grown(last.cost - before)
            shown += 0 if self.cut else len(piece)
        return shown

    def add(self, output: dict[str, Any], size: int) -> Fixed:
        """Add any other output of about ``size`` bytes; :meth:`replace` accepts the returned object."""
        self._clear_if_due()
        self._stream = None
        item = Fixed(output, size)
        if self.is_too_large(size):
            self._skip(item)
            return item
        self._append(item)
        self._grown(item.cost)
        return item

    def is_too_large(self, size: int) -> bool:
        """Return whether no page gets a display of ``size`` bytes: it alone costs more than a cell may."""
        return Fixed({}, size).cost > self._max_bytes

    def finish(self) -> None:
        """Handle the end of the cell: the file with all text gets its end."""
        self._finished = True
        for item in self._tail:
            self._write(item)

    def outputs(self) -> list[dict[str, Any]]:
        """The outputs so far, in the notebook's form."""
        if not self.cut:
            return as_notebook(self._head)
        last = self.last() if self._finished else []
        return [*as_notebook(self._head), self.excerpt().as_output(), *last]

    def last(self) -> list[dict[str, Any]]:
        """The outputs after the excerpt when the cell has run."""
        return as_notebook([*self._kept, *self._tail])

    def excerpt(self) -> Excerpt:
        """The part that is not shown now; while a cell runs, all after the first outputs."""
        hidden = () if self._finished else (*self._kept, *self._tail)
        return Excerpt(
            kernel_id=self.kernel_id,
            msg_id=self.msg_id,
            running=not self._finished,
            lines=self._lines_out + sum(_lines(item) for item in hidden),
            bytes=self._bytes_out + sum(item.size for item in hidden),
            displays=self._displays_out + sum(isinstance(item, Fixed) for item in hidden),
            tail="" if self._finished else short(self._end()),
        )

    def unwritten(self) -> str:
        """The text that follows the file's content."""
        return "".join(item.plain for item in self._tail if not item.is_kept)

    def _end(self) -> str:
        found: list[str] = []
        size = 0
        for item in reversed(self._tail):
            found.append(item.plain[-TAIL_CHARACTERS:])
            size += len(found[-1])
            if size > TAIL_CHARACTERS:
                break
        return "".join(reversed(found))

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self._clear_next = False
            self._clear_now()

    def _clear_now(self) -> None:
        if self.cut and self._overflow is not None:
            self._overflow.restart()
        self._start_anew()

    def _append_stream(self, name: str, *, continues: bool) -> Stream:
        self._stream = Stream(name, continues)
        self._append(self._stream)
        return self._stream

    def _append(self, item: Stream | Fixed) -> None:
        if self._head_bytes >= self._max_bytes or len(self._head) >= self._max_outputs:
            self._cut_here()
        (self._tail if self.cut else self._head).append(item)

    def _cut_here(self) -> None:
        if not self.cut:
            self.cut = True
            for shown in self._head:
                self._write(shown)

    def _skip(self, item: Fixed) -> None:
        self._cut_here()
        for before in self._tail:
            self._write(before)
        self._write(item)
        self._count_out(item)
        item.output = {"output_type": item.output["output_type"]}  # only the file has its bytes

    def _grown(self, cost: int) -> None:
        if not self.cut:
            self._head_bytes += cost
            return
        self._tail_bytes += cost
        while len(self._tail) > 1 and (
            self._tail_bytes > self._tail_bytes_max or len(self._tail) > self._tail_outputs_max
        ):
            self._leave_out(self._tail.popleft())

    def _leave_out(self, item: Stream | Fixed) -> None:
        self._write(item)
        self._tail_bytes -= item.cost
        if isinstance(item, Stream) or not self._keep(item):
            self._count_out(item)

    def _keep(self, item: Fixed) -> bool:
        is_error = item.output["output_type"] == "error"
        if is_error and sum(map(_is_error, self._kept)) < KEPT_ERRORS:
            self._kept.append(item)
            return True
        if is_error or not self._keeps_displays:
            return False
        self._kept.append(item)
        displays = [each for each in self._kept if not _is_error(each)]
        if len(displays) > KEPT_DISPLAYS or sum(each.cost for each in displays) > self._max_bytes:
            # It is full of displays: a few from its middle would mean nothing.
            self._keeps_displays = False
            self._kept = [each for each in self._kept if _is_error(each)]
            for each in displays[:-1]:
                self._count_out(each)
            return False
        return True

    def _count_out(self, item: Stream | Fixed) -> None:
        self._lines_out += _lines(item)
        self._bytes_out += item.size
        self._displays_out += isinstance(item, Fixed)

    def _write(self, item: Stream | Fixed) -> None:
        if self._overflow is not None and not item.is_kept:
            item.is_kept = True
            self._overflow.write(item.plain)


def _is_error(item: Fixed) -> bool:
    return bool(item.output["output_type"] == "error")


def _lines(item: Stream | Fixed) -> int:
    return item.plain.count("\n") if isinstance(item, Stream) else 0


def _pieces(text: str, size: int) -> Iterator[str]:
    """Yield ``text`` in parts of about ``size``, at line ends where possible."""
    start = 0
    while len(text) - start > size:
        end = text.rfind("\n", start, start + size) + 1 or start + size
        yield text[start:end]
        start = end
    if start < len(text) or not text:
        yield text[start:]


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """``lines``, ``bytes`` and ``displays`` are not shown; ``tail`` is the present end of a running cell."""

    kernel_id: str
    msg_id: str
    running: bool
    lines: int
    bytes: int
    displays: int
    tail: str = ""

    def as_output(self) -> dict[str, Any]:
        """Return the notebook's form."""
        return {"output_type": "display_data", "data": self.data(), "metadata": {}}

    def data(self) -> dict[str, Any]:
        """Return the display's data."""
        return {"text/plain": self.text(), EXCERPT_MIME: msgspec.to_builtins(self)}

    def text(self) -> str:
        """Return the text for programs without our renderer."""
        what = f"{self.lines:,} lines, {self.bytes / 1024**2:,.1f} MiB"
        if self.displays:
            what += f", {self.displays:,} displays"
        shown = f"… not shown here: {what}. The full output opens in a JupyterLab with GenOps Lab. …"
        return f"{shown}\n{self.tail}" if self.tail else shown


def short(text: str) -> str:
    """Return the end of ``text`` that is shown live."""
    lines = text[-TAIL_CHARACTERS:].split("\n")
    return "\n".join(lines[-TAIL_LINES - 1 :])
