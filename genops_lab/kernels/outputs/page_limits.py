"""Limit what a page gets of a cell whose output is too large for a browser.

The page gets the first outputs as they come, then a short live end that replaces itself, and the last outputs
when the cell has run. The recorder follows the same rule (:class:`OutputArea`), so that the page and the
document end up alike.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .messages import Message, decoded, display_id_of, output_of, without_data
from .output_limits import Fixed, OutputArea
from .widgets import OutputWidgets

#: Seconds between two live ends, at least.
EVERY_S = 0.5
MAX_RUNS = 20
_OUTPUTS = ("stream", "display_data", "execute_result", "error")
_EMPTY: dict[str, Any] = {"output_type": "display_data", "data": {}, "metadata": {}}
_MORE = (*_OUTPUTS, "clear_output", "update_display_data")


@dataclass(frozen=True)
class Bounds:
    """``cut(kernel_id, msg_id)`` returns what the recorder does not show by now of a run whose beginning a
    page has missed: lines, bytes and displays. It returns None when all is shown."""

    max_bytes: int
    max_outputs: int
    cut: Callable[[str, str], tuple[int, int, int] | None]


@dataclass
class _Run:
    area: OutputArea
    parent: Any
    #: whether this page has missed its beginning: then it asks for the whole at the end
    is_late: bool
    display_id: str = ""
    cuts: int = 0
    cleared: Any = None  # a clear_output that waits for the next output
    displays: dict[str, list[Fixed]] = field(default_factory=dict)
    timer: TimerHandle | None = None


class PageOutputs:
    """The runs that one connection sees.

    ``say(kind, content, parent)`` sends a message of ours, ``pass_on(raw)`` one of the kernel's;
    ``later(seconds, call)`` calls after a delay.
    """

    def __init__(
        self,
        kernel_id: str,
        bounds: Bounds,
        say: Callable[[str, dict[str, Any], Any], None],
        pass_on: Callable[[Any], None],
        later: Callable[[float, Callable[[], None]], TimerHandle],
    ) -> None:
        self._kernel_id = kernel_id
        self._bounds = bounds
        self._say, self._pass_on, self._later = say, pass_on, later
        self._runs: dict[str, _Run] = {}
        self._widgets = OutputWidgets()

    def take(self, message: Message, raw: Any) -> None:
        """Pass on a message from iopub, or its replacement."""
        kind = message.msg_type
        if kind == "status":
            state = message.content.get("execution_state")
            if state == "busy" and message.parent_id and message.parent_id not in self._runs:
                self._begin(message, is_late=False)
            elif state == "idle":
                self._end(message.parent_id)
        elif kind in ("comm_open", "comm_msg", "comm_close"):
            self._widgets.comm(message)
        elif kind in _MORE and message.parent_id and not self._widgets.take(message.parent_id):
            run = self._runs.get(message.parent_id) or self._begin(message, is_late=True)
            self._output(run, message, raw)
            return
        self._pass_on(raw)

    def end_all(self) -> None:
        """Send all delayed messages: the kernel has ended."""
        for msg_id in list(self._runs):
            self._end(msg_id)

    def close(self) -> None:
        """Stop: the page has left."""
        for run in self._runs.values():
            if run.timer is not None:
                run.timer.cancel()
        self._runs.clear()

    def _begin(self, message: Message, *, is_late: bool) -> _Run:
        msg_id = message.parent_id
        area = OutputArea(
            max_bytes=self._bounds.max_bytes,
            max_outputs=self._bounds.max_outputs,
            kernel_id=self._kernel_id,
            msg_id=msg_id,
        )
        while is_late and len(self._runs) >= MAX_RUNS:  # runs of threads whose cell has run never end
            self._end(next(iter(self._runs)))
        run = self._runs[msg_id] = _Run(area, decoded(message.raw_parent), is_late)
        cut = self._bounds.cut(self._kernel_id, msg_id) if is_late else None
        if cut is not None:
            area.begin_cut(*cut)
            run.display_id = self._new_display_id(run)
        return run

    def _output(self, run: _Run, message: Message, raw: Any) -> None:
        kind, size = message.msg_type, len(message.raw_content)
        if kind not in ("stream", "clear_output") and run.area.is_too_large(size):
            self._skip(run, message)
            return
        content = message.content
        if kind == "update_display_data":
            self._update(content)
            self._pass_on(raw)
        elif kind == "clear_output":
            self._clear(run, bool(content.get("wait")), raw)
        elif kind == "stream":
            name, text = str(content.get("name", "stdout")), str(content.get("text", ""))
            shown = run.area.stream(name, text)
            self._release_clear(run)
            if not run.area.cut:
                self._pass_on(raw)
                return
            if shown:
                self._say("stream", {"name": name, "text": text[:shown]}, run.parent)
            self._hold(run)
        else:
            output = {**output_of(kind, content), "transient": content.get("transient") or {}}
            item = run.area.add(output, size)
            self._release_clear(run)
            if not run.area.cut:
                self._pass_on(raw)
                return
            display_id = display_id_of(content)
            if display_id:
                self._update(content)
                run.displays.setdefault(display_id, []).append(item)
                # An update with the id of an earlier display changes that one, too.
                self._say("update_display_data", content, run.parent)
            self._hold(run)

    def _skip(self, run: _Run, message: Message) -> None:
        """Replace a display that would crash the page; it is not even decoded here."""
        if message.msg_type == "update_display_data":
            content = without_data(message)
            self._update(content)
            self._say("update_display_data", content, run.parent)
            return
        run.area.add(_EMPTY, len(message.raw_content))
        self._release_clear(run)
        self._hold(run)

    def _clear(self, run: _Run, wait: bool, raw: Any) -> None:
        was_cut = run.area.cut
        run.area.clear(wait)
        if wait and was_cut:
            run.cleared = raw  # passed on with the next output, so that it does not meet the last ones
            return
        self._forget_cut(run)
        self._pass_on(raw)

    def _release_clear(self, run: _Run) -> None:
        raw, run.cleared = run.cleared, None
        if raw is not None:
            self._forget_cut(run)
            self._pass_on(raw)

    def _forget_cut(self, run: _Run) -> None:
        run.display_id = ""
        run.displays.clear()
        if run.timer is not None:
            run.timer.cancel()
            run.timer = None

    def _update(self, content: dict[str, Any]) -> None:
        display_id = display_id_of(content)
        for run in self._runs.values():
            for item in run.displays.get(display_id, ()):
                item.output = {
                    **item.output,
                    "data": content.get("data") or {},
                    "metadata": content.get("metadata") or {},
                }

    # Replacements for delayed outputs

    def _hold(self, run: _Run) -> None:
        if not run.display_id:
            run.display_id = self._new_display_id(run)
            self._show(run, "display_data")
        if run.timer is None:
            run.timer = self._later(EVERY_S, lambda: self._tick(run))

    def _new_display_id(self, run: _Run) -> str:
        run.cuts += 1
        return f"genops-more-{run.area.msg_id}-{run.cuts}"

    def _tick(self, run: _Run) -> None:
        run.timer = None
        self._show(run, "update_display_data")

    def _show(self, run: _Run, kind: str) -> None:
        content = {
            "data": run.area.excerpt().data(), "metadata": {}, "transient": {"display_id": run.display_id},
        }  # fmt: skip
        self._say(kind, content, run.parent)

    def _end(self, msg_id: str) -> None:
        run = self._runs.pop(msg_id, None)
        if run is None:
            return
        if run.timer is not None:
            run.timer.cancel()
        if run.area.cut and not run.is_late:
            run.area.finish()
            self._show(run, "update_display_data")
            for kind, content in _messages(run.area):
                self._say(kind, content, run.parent)
        if run.cleared is not None:
            self._pass_on(run.cleared)


def _messages(area: OutputArea) -> Iterator[tuple[str, dict[str, Any]]]:
    for output in area.last():
        kind = str(output.pop("output_type"))
        yield kind, output
