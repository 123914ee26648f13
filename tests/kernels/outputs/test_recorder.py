"""The recorder against nbclient's own handling of the same messages, and against JupyterLab's output model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.kernels.outputs.output_limits import OutputArea, StreamText
from genops_lab.kernels.outputs.recorder import MAX_WAITING_BYTES, Recorder
from tests.support.exhaustive import examples

from .kernel_messages import SpeakingKernel
from .recordings import KERNEL, MESSAGES, PIECES, as_jupyterlab, content_of, merged, only


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    found = Recorder(tmp_path / "outputs", lambda _kernel_id: None)
    yield found
    found.close()


@given(PIECES)
def test_a_stream_is_what_jupyterlab_makes_of_it(pieces: list[str]) -> None:
    stream = StreamText()
    for piece in pieces:
        stream.add(piece)
    assert str(stream) == as_jupyterlab(pieces)
    assert stream.size == len(str(stream))


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        # What JupyterLab 4.6's OutputAreaModel holds after these messages.
        (["abc\rX"], "Xbc"),
        (["  0%\r", " 50%\r", "100%\n"], "100%\n"),
        (["abc\r\n", "d"], "abc\nd"),
        (["ab\b", "c"], "ac"),
        (["a\n\bb"], "a\nb"),
        (["abc\r\b"], "abc"),
    ],
)
def test_progress_lines(pieces: list[str], shown: str) -> None:
    area = OutputArea()
    for piece in pieces:
        area.stream("stdout", piece)
    assert area.outputs() == [{"output_type": "stream", "name": "stdout", "text": shown}]


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(st.lists(MESSAGES, max_size=10), min_size=1, max_size=3), st.data())
def test_outputs_are_what_nbclient_makes_of_the_messages(
    cells: list[list[tuple[Any, ...]]], data: st.DataObject
) -> None:
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionComplete

    recorder = Recorder(Path("unused"), lambda _kernel_id: None)
    kernel = SpeakingKernel(recorder)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("code") for _ in cells])
    oracle = NotebookClient(notebook, record_timing=False)
    for number, messages in enumerate(cells):
        kernel.begin(f"m{number}", f"cell{number}", number + 1)
        for message in messages:
            kernel.say(message[0], f"m{number}", content_of(message, number + 1))
        kernel.finish(f"m{number}", number + 1)
        oracle.clear_before_next_output = False  # as nbclient does before each cell
        for said in kernel.said:
            if said["msg_type"] == "execute_reply":
                continue
            with contextlib.suppress(CellExecutionComplete):
                oracle.process_message(said, notebook.cells[number], number)
        kernel.said.clear()
        if data.draw(st.booleans()):
            recorder.executions(KERNEL)  # looking in between changes nothing
    found = recorder.executions(KERNEL)
    assert [each.cell_id for each in found] == [f"cell{number}" for number in range(len(cells))]
    for each, cell in zip(found, notebook.cells, strict=True):
        assert each.outputs == merged(cell.outputs)
        assert each.state == "done" and each.status == "ok"
        assert each.execution_count == cell.execution_count
    recorder.close()


# What belongs to whom.


def test_requests_without_a_cell_and_silent_ones_are_not_kept(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("console", None)
    kernel.print("console", "not a cell's\n")
    kernel.finish("console")
    kernel.request("silent", "cell", silent=True)
    kernel.print("silent", "hidden")
    kernel.finish("silent")
    kernel.say("status", "", {"execution_state": "idle"})
    assert recorder.executions(KERNEL) == []
    assert recorder.cursor(KERNEL) == ("first", len(kernel.journal))


def test_a_cell_that_runs_again_has_the_outputs_of_its_last_run(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    kernel.print("m1", "old")
    kernel.finish("m1")
    kernel.begin("m2", "cell", 2)
    kernel.print("m2", "new")
    assert only(recorder).msg_id == "m2"
    assert only(recorder).outputs[0]["text"] == "new"
    assert only(recorder).state == "running"


def test_a_later_cell_updates_a_display_of_one_that_is_documented(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    shown = {"data": {"text/plain": "0 %"}, "metadata": {}, "transient": {"display_id": "bar"}}
    kernel.begin("m1", "cell1")
    kernel.say("display_data", "m1", shown)
    kernel.finish("m1")
    recorder.documented(KERNEL, recorder.executions(KERNEL))
    assert recorder.executions(KERNEL) == []
    kernel.begin("m2", "cell2", 2)
    kernel.say("update_display_data", "m2", {**shown, "data": {"text/plain": "9 %"}})
    kernel.finish("m2", 2)
    first, second = recorder.executions(KERNEL)
    assert first.outputs[0]["data"] == {"text/plain": "9 %"}
    assert second.outputs == []


def test_a_thread_that_outlives_its_cell_still_prints_there(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    kernel.finish("m1")
    recorder.documented(KERNEL, recorder.executions(KERNEL))
    kernel.print("m1", "later\n")
    assert only(recorder).outputs == [{"output_type": "stream", "name": "stdout", "text": "later\n"}]


def test_what_an_output_widget_takes_is_not_the_cells(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    state = {"_model_name": "OutputModel", "_model_module": "@jupyter-widgets/output", "msg_id": ""}
    kernel.say("comm_open", "m1", {"comm_id": "w", "target_name": "jupyter.widget", "data": {"state": state}})
    kernel.print("m1", "before\n")
    kernel.say("comm_msg", "m1", {"comm_id": "w", "data": {"method": "update", "state": {"msg_id": "m1"}}})
    kernel.print("m1", "in the widget\n")
    kernel.say("comm_msg", "m1", {"comm_id": "w", "data": {"method": "update", "state": {"msg_id": ""}}})
    kernel.print("m1", "after\n")
    assert only(recorder).outputs[0]["text"] == "before\nafter\n"


def test_the_pager_is_shown(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    page = {"source": "page", "data": {"text/plain": "help"}, "start": 0}
    kernel.say("execute_reply", "m1", {"status": "ok", "execution_count": 1, "payload": [page]}, 0)
    kernel.say("status", "m1", {"execution_state": "idle"})
    assert only(recorder).outputs[0]["data"] == {"text/plain": "help"}


@pytest.mark.parametrize("idle_first", [True, False])
def test_a_run_is_done_with_reply_and_idle(recorder: Recorder, idle_first: bool) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")

    def idle() -> None:
        kernel.say("status", "m1", {"execution_state": "idle"})

    def reply() -> None:
        kernel.say("execute_reply", "m1", {"status": "error", "execution_count": 1}, 0)

    (idle if idle_first else reply)()
    assert only(recorder).state == "running"
    (reply if idle_first else idle)()
    assert (only(recorder).state, only(recorder).status) == ("done", "error")


def test_a_queued_run_that_was_dropped_is_done(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.request("m1", "cell")
    kernel.say("execute_reply", "m1", {"status": "aborted"}, 0)
    assert (only(recorder).state, only(recorder).status) == ("done", "aborted")


def test_messages_that_cannot_be_read_cost_nothing_else(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    for frames in (
        [],
        [b"x"],
        [b"<IDS|MSG>", b"s", b"{", b"{}", b"{}", b"{}"],
        [b"<IDS|MSG>", b"s", b"[]"] * 3,
    ):
        kernel._record(3, frames)
    not_json = b'{"data": {"text/plain": "x\xff"}, "metadata": {"n": NaN}}'
    header = b'{"msg_id": "odd", "msg_type": "display_data"}'
    kernel._record(3, [b"<IDS|MSG>", b"", header, b'{"msg_id": "m1"}', b"{}", not_json])
    kernel.print("m1", "on\n")
    kernel.finish("m1")
    assert [output["output_type"] for output in only(recorder).outputs] == ["display_data", "stream"]


# The cursor.


def test_the_journal_is_needed_from_the_first_run_that_no_document_has(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.say("status", "", {"execution_state": "idle"})
    start = kernel.request("m1", "cell1")
    kernel.print("m1", "one")
    second = kernel.request("m2", "cell2")
    kernel.finish("m1")
    assert recorder.cursor(KERNEL) == ("first", start - 1)
    one = [each for each in recorder.executions(KERNEL) if each.msg_id == "m1"]
    recorder.documented(KERNEL, one)
    assert recorder.cursor(KERNEL) == ("first", second - 1)
    recorder.documented(
        KERNEL, recorder.executions(KERNEL)
    )  # the second still runs: no document has all of it
    assert recorder.cursor(KERNEL) == ("first", second - 1)
    kernel.finish("m2")
    recorder.documented(KERNEL, recorder.executions(KERNEL))
    assert recorder.cursor(KERNEL) == ("first", len(kernel.journal))


def test_what_came_after_it_was_written_is_still_wanted(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    kernel.finish("m1")
    written = recorder.executions(KERNEL)
    kernel.print("m1", "late")
    recorder.documented(KERNEL, written)
    assert only(recorder).outputs[0]["text"] == "late"


def test_another_incarnation_counts_anew(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell1")
    kernel.print("m1", "one")
    again = SpeakingKernel(recorder, incarnation="second")
    again.begin("m2", "cell2")
    first, second = recorder.executions(KERNEL)
    assert (first.state, first.status, first.outputs[0]["text"]) == ("done", "error", "one")
    assert second.state == "running"
    assert recorder.cursor(KERNEL) == ("second", 0)


def test_records_that_come_again_are_taken_once(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell1")
    kernel.print("m1", "one")
    kernel.replay(recorder)
    kernel.print("m1", "two")
    assert only(recorder).outputs[0]["text"] == "onetwo"


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(MESSAGES, max_size=12), st.integers(0, 40))
def test_a_lab_that_attaches_later_has_the_same_outputs(
    messages: list[tuple[Any, ...]], looked_at: int
) -> None:
    first = Recorder(Path("unused"), lambda _kernel_id: None)
    kernel = SpeakingKernel(first)
    kernel.begin("m0", "cell0")
    kernel.print("m0", "documented")
    kernel.finish("m0")
    first.documented(KERNEL, first.executions(KERNEL))
    _, cursor = first.cursor(KERNEL)
    kernel.begin("m1", "cell1")
    for number, message in enumerate(messages):
        kernel.say(message[0], "m1", content_of(message))
        if number == looked_at:
            first.executions(KERNEL)
    kernel.finish("m1")
    later = Recorder(Path("unused"), lambda _kernel_id: None)
    kernel.replay(later, after=cursor)
    assert later.executions(KERNEL) == first.executions(KERNEL)
    # The host may not have got the acknowledgement: then the past comes again, and is known to be documented.
    whole = Recorder(Path("unused"), lambda _kernel_id: None)
    whole.remember(KERNEL, "first", cursor)
    kernel.replay(whole)
    assert whole.executions(KERNEL) == first.executions(KERNEL)


def test_the_kernels_end_ends_its_runs(recorder: Recorder) -> None:
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell1")
    kernel.print("m1", "so far\n")
    kernel.request("m2", "cell2")
    kernel.note(kind="ended", exit_code=-9, reason="It was killed.")
    first, second = recorder.executions(KERNEL)
    assert (first.state, first.status, second.status) == ("done", "error", "aborted")
    assert recorder.end_of(KERNEL) == "It was killed."


def test_pages_are_told_when_runs_start_and_end(tmp_path: Path) -> None:
    reports: list[str] = []
    recorder = Recorder(tmp_path, reports.append)
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    recorder.executions(KERNEL)
    started = len(reports)
    kernel.print("m1", "x" * 10)
    recorder.executions(KERNEL)
    assert len(reports) == started == 1
    kernel.finish("m1")
    recorder.executions(KERNEL)
    assert reports == [KERNEL] * 2
    recorder.close()


def test_records_are_read_though_nobody_asks(tmp_path: Path) -> None:
    import threading

    heard = threading.Event()
    recorder = Recorder(tmp_path, lambda _kernel_id: heard.set())
    SpeakingKernel(recorder).begin("m1", "cell")
    assert heard.wait(60)
    recorder.close()


def test_a_recorder_that_is_behind_says_so(tmp_path: Path) -> None:
    import threading

    in_the_way, go_on = threading.Event(), threading.Event()

    def changed(_kernel_id: str) -> None:
        in_the_way.set()
        assert go_on.wait(60)

    recorder = Recorder(tmp_path, changed)
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    assert in_the_way.wait(60)
    assert not recorder.crowded
    for _ in range(9):
        kernel.print("m1", "x" * (MAX_WAITING_BYTES // 8))
    assert recorder.crowded
    go_on.set()
    assert recorder.executions(KERNEL)
    assert not recorder.crowded
    recorder.close()
