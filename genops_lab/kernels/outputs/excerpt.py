"""The line in a cell's outputs that says what is not shown there, and leads to the whole."""

from __future__ import annotations

from typing import Any

import msgspec

#: Its renderer is in the front end (``src/kernels/outputs``); everything else shows the text.
MIME = "application/vnd.genops.output-excerpt+json"
TAIL_LINES = 20
TAIL_CHARACTERS = 4000


class Excerpt(msgspec.Struct, frozen=True, kw_only=True):
    """``lines``, ``bytes`` and ``displays`` are not shown; ``tail`` is the end so far of a cell that runs."""

    kernel_id: str
    msg_id: str
    running: bool
    lines: int
    bytes: int
    displays: int
    tail: str = ""

    def as_output(self) -> dict[str, Any]:
        """The notebook's form."""
        return {"output_type": "display_data", "data": self.data(), "metadata": {}}

    def data(self) -> dict[str, Any]:
        """The display's data."""
        return {"text/plain": self.text(), MIME: msgspec.to_builtins(self)}

    def text(self) -> str:
        """What those see who do not have our renderer."""
        what = f"{self.lines:,} lines, {self.bytes / 1024**2:,.1f} MiB"
        if self.displays:
            what += f", {self.displays:,} displays"
        shown = f"… not shown here: {what}. The full output opens in a JupyterLab with GenOps Lab. …"
        return f"{shown}\n{self.tail}" if self.tail else shown


def short(text: str) -> str:
    """The end of ``text`` that is shown live."""
    lines = text[-TAIL_CHARACTERS:].split("\n")
    return "\n".join(lines[-TAIL_LINES - 1 :])
