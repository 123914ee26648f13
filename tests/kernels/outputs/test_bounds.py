"""What of a long output is shown, and where the rest is."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.kernels.outputs import full_text
from genops_lab.kernels.outputs.full_text import FullTexts
from genops_lab.kernels.outputs.output_limits import EXCERPT_MIME, OutputArea
from genops_lab.kernels.outputs.recorder import Recorder
from tests.support.exhaustive import examples

from .kernel_messages import SpeakingKernel
from .recordings import KERNEL, PIECES, only


def test_the_middle_of_a_long_stream_is_left_out_and_kept_in_a_file(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "outputs", lambda _kernel_id: None)
    kernel = SpeakingKernel(recorder)
    kernel.begin("m1", "cell")
    lines = [f"line {number:07d} {'x' * 80}\n" for number in range(300_000)]
    for start in range(0, len(lines), 500):
        kernel.print("m1", "".join(lines[start : start + 500]))
    (running,) = recorder.executions(KERNEL)
    text, more = recorder.text(KERNEL, "m1")
    assert text is not None and more  # also while it runs
    assert (text.total, text.lines(299_999, 1)) == (300_000, [lines[-1].rstrip()])
    kernel.finish("m1")
    found = only(recorder)
    assert found.truncated
    head, marker, tail = found.outputs
    assert running.outputs[0] == head and running.outputs[1]["data"][EXCERPT_MIME]["tail"].endswith(lines[-1])
    assert len(running.outputs) == 2
    assert "".join(lines).startswith(head["text"]) and "".join(lines).endswith(tail["text"])
    assert 1_000_000 <= len(head["text"]) < 1_200_000 and len(tail["text"]) < 200_000
    excerpt = marker["data"][EXCERPT_MIME]
    shown = head["text"].count("\n") + tail["text"].count("\n")
    assert excerpt["lines"] == len(lines) - shown and not excerpt["running"] and not excerpt["tail"]
    assert f"{excerpt['lines']:,} lines" in marker["data"]["text/plain"]
    whole = Path(found.full_output)
    assert whole.read_text() == "".join(lines)
    assert whole.stat().st_mode & 0o777 == 0o600
    text, more = recorder.text(KERNEL, "m1")
    assert text is not None and not more and text.total == len(lines)
    for first in (0, 1, 699, 700, 150_000, 299_995):
        assert text.lines(first, 10) == [line.rstrip() for line in lines[first : first + 10]]
    assert text.find("LINE 0123456", 0) == 123_456
    assert text.find("line 0000007", 200_000) == 7  # from the beginning again
    assert text.find("nowhere", 0) is None
    recorder.close()


def test_a_cell_that_runs_again_replaces_its_whole_text(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "outputs", lambda _kernel_id: None, max_bytes=64)
    kernel = SpeakingKernel(recorder)
    for run in ("m1", "m2"):
        kernel.begin(run, "cell")
        for _ in range(100):
            kernel.print(run, f"{run}\n")
        kernel.finish(run)
        recorder.executions(KERNEL)
    assert recorder.text(KERNEL, "m1") == (None, False)
    assert Path(only(recorder).full_output).read_text() == "m2\n" * 100
    recorder.close()


@given(
    st.lists(st.text("ab\n", max_size=9).map(lambda text: text * 9000), max_size=6),
    st.text("ab\n", max_size=9),
)
@settings(max_examples=examples(60), deadline=None)
def test_any_lines_of_a_whole_text_are_found(pieces: list[str], more: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts = FullTexts(Path(folder))
        overflow = texts.overflow(KERNEL, "m1")
        overflow.write("")
        for number in range(len(pieces) + 1):  # the index grows with the file
            whole = "".join(pieces[:number]) + more
            text = texts.open(KERNEL, "m1", more)
            assert text is not None and text.size == len(whole)
            lines = whole.split("\n")
            lines = lines if lines[-1] else lines[:-1]
            assert text.total == len(lines)
            for first in {0, 1, len(lines) // 2, len(lines) - 1}:
                given_lines = [line.partition(" … ")[0] for line in text.lines(max(0, first), 3)]
                assert given_lines == [line[:20_000] for line in lines[max(0, first) : max(0, first) + 3]]
            overflow.write(pieces[number] if number < len(pieces) else "")


def test_old_texts_and_too_many_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = FullTexts(tmp_path)
    for number, name in enumerate(("old", "first", "second", "third")):
        texts.overflow(KERNEL, name).write("x" * 100)
        age = full_text.MAX_AGE_S + 1 if name == "old" else 100 - number
        os.utime(texts.file(KERNEL, name), (time.time() - age,) * 2)
    monkeypatch.setattr(full_text, "MAX_BYTES", 250)
    texts.prune()
    assert sorted(file.stem for file in tmp_path.glob("*/*.txt")) == ["second", "third"]


def test_many_displays_are_left_out_in_the_middle() -> None:
    area = OutputArea(max_outputs=100)
    for number in range(1000):
        area.add({"output_type": "display_data", "data": {"text/plain": str(number)}, "metadata": {}}, 10)
    area.finish()
    shown = [output["data"]["text/plain"] for output in area.outputs() if EXCERPT_MIME not in output["data"]]
    assert shown == [*map(str, range(100)), *map(str, range(990, 1000))]
    assert area.outputs()[100]["data"][EXCERPT_MIME]["displays"] == 890


def test_figures_and_errors_among_much_text_are_shown() -> None:
    area = OutputArea(max_bytes=1000)
    figure = {"output_type": "display_data", "data": {"text/plain": "figure"}, "metadata": {}}
    error = {"output_type": "error", "ename": "E", "evalue": "", "traceback": ["T"]}
    for number in range(5000):
        area.stream("stdout", f"{number}\n")
        if number == 2000:
            area.add(figure, 10)
        if number == 2500:
            area.add(error, 10)
    area.finish()
    first, notice, *kept, last = area.outputs()
    assert kept == [figure, error] and EXCERPT_MIME in notice["data"]
    assert first["text"].startswith("0\n1\n") and last["text"].endswith("4998\n4999\n")


def test_a_progress_bar_does_not_grow() -> None:
    area = OutputArea(max_bytes=1000)
    for number in range(50_000):
        area.stream("stderr", f"\r{number:6d} of 50000")
    assert not area.cut
    assert area.outputs() == [{"output_type": "stream", "name": "stderr", "text": " 49999 of 50000"}]


def test_what_is_cleared_begins_anew(tmp_path: Path) -> None:
    texts = FullTexts(tmp_path)
    area = OutputArea(texts.overflow(KERNEL, "m1"), max_bytes=100)
    for turn in ("first", "second"):
        area.clear(wait=True)
        for _ in range(200):
            area.stream("stdout", f"{turn}\n")
        assert area.cut
    area.finish()
    text = texts.open(KERNEL, "m1", area.unwritten())
    assert text is not None and (text.total, text.find("first", 0)) == (200, None)
    area.clear()
    assert area.outputs() == [] and not area.cut


@given(PIECES, st.integers(8, 40))
def test_within_the_bounds_nothing_is_changed_by_them(pieces: list[str], limit: int) -> None:
    bounded, free = OutputArea(max_bytes=limit * 1000), OutputArea()
    for piece in pieces:
        bounded.stream("stdout", piece)
        free.stream("stdout", piece)
    assert bounded.outputs() == free.outputs()


@given(
    st.lists(st.text("ab\n", min_size=1, max_size=8), min_size=1, max_size=60),
    st.integers(8, 64),
    st.integers(0, 60),
)
def test_a_bounded_stream_keeps_its_beginning_and_its_end(
    pieces: list[str], limit: int, finished_at: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        texts = FullTexts(Path(folder))
        area = OutputArea(texts.overflow(KERNEL, "m1"), max_bytes=limit)
        shown = ""
        for number, piece in enumerate(pieces):
            shown += piece[: area.stream("stdout", piece)]
            if number == finished_at:
                area.finish()  # a thread of the cell's goes on
        area.finish()
        whole = "".join(pieces)
        texts_shown = [output["text"] for output in area.outputs() if output["output_type"] == "stream"]
        if area.cut:
            head, tail = texts_shown
            assert head == shown and whole.startswith(head) and whole.endswith(tail)
            found = texts.open(KERNEL, "m1", area.unwritten())
            assert found is not None and found.lines(0, 1000) == whole.removesuffix("\n").split("\n")
        else:
            assert texts_shown == [whole] == [shown]
