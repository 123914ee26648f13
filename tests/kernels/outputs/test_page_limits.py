"""What a page is given of a long output, against what the recorder puts into the document."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.agent.records import IOPUB, SHELL
from genops_lab.kernels.outputs.messages import message
from genops_lab.kernels.outputs.output_limits import EXCERPT_MIME
from genops_lab.kernels.outputs.page_limits import Bounds, PageOutputs
from genops_lab.kernels.outputs.recorder import Recorder
from tests.support.exhaustive import examples

from .kernel_messages import SpeakingKernel
from .recordings import KERNEL, MESSAGES, content_of, merged, only


class Listener:
    """A page's connection: what it is sent, in order."""

    def __init__(self, recorder: Recorder, *, max_bytes: int, max_outputs: int = 1000) -> None:
        self.got: list[dict[str, Any]] = []
        self.timers: list[Callable[[], None]] = []
        self._ids = itertools.count()
        bounds = Bounds(max_bytes, max_outputs, recorder.cut)
        self.outputs = PageOutputs(KERNEL, bounds, self._say, self.got.append, self._later)
        self._heard = 0

    def _say(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> None:
        header = {"msg_id": f"ours-{next(self._ids)}", "msg_type": kind}
        said = {"header": header, "msg_type": kind, "parent_header": parent, "metadata": {}}
        self.got.append({**said, "content": content})

    def _later(self, _seconds: float, call: Callable[[], None]) -> Any:
        self.timers.append(call)
        return SimpleNamespace(cancel=lambda: self.timers.remove(call))

    def hear(self, kernel: SpeakingKernel) -> None:
        """All that the kernel said since the last time."""
        frames = [each for _seq, channel, each in kernel.journal if channel in (SHELL, IOPUB)]
        for said, raw in list(zip(kernel.said, frames, strict=True))[self._heard :]:
            if said["msg_type"] != "execute_reply":
                self.outputs.take(message(raw), said)
        self._heard = len(kernel.said)

    def tick(self) -> None:
        """Half a second goes by."""
        while self.timers:
            self.timers.pop(0)()

    @property
    def kinds(self) -> list[str]:
        return [each["msg_type"] for each in self.got if each["msg_type"] not in ("status", "execute_input")]


@settings(max_examples=examples(400), deadline=None)
@given(
    st.lists(st.lists(MESSAGES, max_size=14), min_size=1, max_size=3),
    st.integers(1, 24),
    st.integers(1, 10),
    st.lists(st.booleans(), min_size=14, max_size=14),
)
def test_a_page_ends_with_what_the_document_has(
    cells: list[list[tuple[Any, ...]]], max_bytes: int, max_outputs: int, ticks: list[bool]
) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionComplete

    bounds = {"max_bytes": max_bytes, "max_outputs": max_outputs}
    recorder = Recorder(Path("unused"), lambda _kernel_id: None, **bounds)
    recorder.texts.overflow = lambda *_ids: None  # type: ignore[method-assign, assignment, return-value]
    kernel = SpeakingKernel(recorder)
    page = Listener(recorder, **bounds)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("code") for _ in cells])
    oracle = NotebookClient(notebook, record_timing=False)
    for number, messages in enumerate(cells):
        kernel.begin(f"m{number}", f"cell{number}", number + 1)
        for each, tick in zip(messages, ticks, strict=False):
            kernel.say(each[0], f"m{number}", content_of(each, number + 1))
            page.hear(kernel)
            if tick:
                page.tick()
        kernel.finish(f"m{number}", number + 1)
        page.hear(kernel)
        assert page.timers == []
        oracle.clear_before_next_output = False
        for said in page.got:
            with contextlib.suppress(CellExecutionComplete):
                oracle.process_message(said, notebook.cells[number], number)
        page.got.clear()
    for each, cell in zip(recorder.executions(KERNEL), notebook.cells, strict=True):
        assert merged(each.outputs) == merged(cell.outputs)
    recorder.close()


def test_a_flood_becomes_a_head_a_live_end_and_a_tail(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _kernel_id: None, max_bytes=1000)
    kernel, page = SpeakingKernel(recorder), Listener(recorder, max_bytes=1000)
    kernel.begin("m1", "cell")
    for number in range(10_000):
        kernel.print("m1", f"{number}\n")
    page.hear(kernel)
    assert page.kinds[-1] == "display_data" and page.kinds.count("stream") < 300
    page.tick()
    shown = page.got[-1]["content"]["data"][EXCERPT_MIME]
    assert page.kinds[-1] == "update_display_data" and shown["tail"].endswith("9998\n9999\n")
    assert shown["lines"] > 9_000 and shown["running"]
    assert page.timers == []  # nothing is said while nothing comes
    kernel.say("error", "m1", {"ename": "E", "evalue": "e", "traceback": ["T"]})
    kernel.finish("m1", status="error")
    page.hear(kernel)
    assert page.kinds[-3:] == ["update_display_data", "stream", "error"]
    assert page.got[-1]["msg_type"] == "status"  # after all of it
    recorder.close()


def test_a_page_that_comes_in_the_middle_is_shown_the_live_end_alone(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _kernel_id: None, max_bytes=1000)
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    for number in range(10_000):
        kernel.print("m1", f"{number}\n")
    recorder.executions(KERNEL)
    page = Listener(recorder, max_bytes=1000)
    page._heard = len(kernel.said)
    kernel.print("m1", "more\n")
    page.hear(kernel)
    assert page.kinds == []
    page.tick()
    (update,) = page.got
    shown = update["content"]["data"][EXCERPT_MIME]
    assert update["msg_type"] == "update_display_data" and shown["tail"] == "more\n"
    assert shown["lines"] > 9_000 and shown["msg_id"] == "m1"
    recorder.close()


def test_what_an_output_widget_takes_is_its_own(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _kernel_id: None, max_bytes=100)
    kernel, page = SpeakingKernel(recorder), Listener(recorder, max_bytes=100)
    kernel.begin("m1", "cell")
    state = {"_model_name": "OutputModel", "msg_id": "m1"}
    kernel.say("comm_open", "m1", {"comm_id": "w", "data": {"state": state}})
    for _ in range(1000):
        kernel.print("m1", "into the widget\n")
    kernel.say("comm_msg", "m1", {"comm_id": "w", "data": {"method": "update", "state": {"msg_id": ""}}})
    kernel.print("m1", "into the cell\n")
    kernel.finish("m1")
    page.hear(kernel)
    assert page.kinds.count("stream") == 1001 and "display_data" not in page.kinds
    (run,) = recorder.executions(KERNEL)
    assert [output["text"] for output in run.outputs] == ["into the cell\n"]
    recorder.close()


def test_a_kernel_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, lambda _kernel_id: None, max_bytes=100)
    kernel, page = SpeakingKernel(recorder), Listener(recorder, max_bytes=100)
    kernel.begin("m1", "cell")
    for number in range(1000):
        kernel.print("m1", f"{number}\n")
    page.hear(kernel)
    page.outputs.end_all()
    assert page.kinds[-2:] == ["update_display_data", "stream"]
    assert page.got[-1]["content"]["text"].endswith("999\n")
    recorder.close()


def test_a_display_that_would_end_the_page_is_left_out_and_its_text_kept(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionComplete

    recorder = Recorder(tmp_path, lambda _kernel_id: None, max_bytes=1000)
    page, kernel = Listener(recorder, max_bytes=1000), SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    kernel.print("m1", "before\n")
    kernel.say(
        "display_data",
        "m1",
        {"data": {"text/plain": "small"}, "metadata": {}, "transient": {"display_id": "d"}},
    )
    large = {"data": {"text/plain": "z" * 200_000}, "metadata": {}}
    for _ in range(2):
        kernel.say("display_data", "m1", large)
    kernel.print("m1", "after\n")
    kernel.say(
        "update_display_data", "m1",
        {"data": {"text/plain": "y" * 200_000}, "metadata": {}, "transient": {"display_id": "d"}},
    )  # fmt: skip
    page.hear(kernel)
    page.tick()
    kernel.finish("m1")
    page.hear(kernel)
    assert max(len(repr(each)) for each in page.got) < 2000
    found = only(recorder)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("code")])
    oracle = NotebookClient(notebook, record_timing=False)
    oracle.clear_before_next_output = False
    for said in page.got:
        with contextlib.suppress(CellExecutionComplete):
            oracle.process_message(said, notebook.cells[0], 0)
    assert merged(found.outputs) == merged(notebook.cells[0].outputs)
    before, small, excerpt, after = found.outputs
    assert (before["text"], after["text"]) == ("before\n", "after\n")
    assert small["data"] == {"text/plain": "… not shown here: a display of 195.4 KiB. …"}
    assert (excerpt["data"][EXCERPT_MIME]["displays"], excerpt["data"][EXCERPT_MIME]["bytes"]) == (
        2,
        2 * len(json.dumps(large)),
    )
    text = Path(found.full_output).read_text()
    assert text.startswith("before\nsmall\n") and text.count("z" * 200_000 + "\n") == 2
    assert text.endswith("after\n")
    recorder.close()
