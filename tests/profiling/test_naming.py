"""Markers in the words of a person: in every view, from the reader to what is handed to Perfetto."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.profiling import analyze, diff
from genops_lab.profiling.engine import column_files, read
from genops_lab.profiling.engine.attribution.naming import shown_names
from genops_lab.profiling.engine.timeline.flame import flame
from genops_lab.profiling.models import CutQuery, Place, SliceSearch, SumsQuery
from genops_lab.profiling.perfetto.backend import Cuts
from genops_lab.profiling.timeline.backend import Timelines

ID = "72aa9305-1c"
CELLS = [
    {"name": ID, "number": 2, "lines": {"5": "loss.backward()", "6": 'say("ünï \\" …")'}},
    {"name": "In[3]", "number": 3, "lines": {"1": "y = x + 1"}},
    {"name": "/home/me/train.py", "number": None, "lines": {"12": "step()"}},
]
#: The names of markers, and what a person is to see.
NAMES = {
    f"genops:cell:{ID}": "[2]",
    f"genops:line:{ID}:5": "[2] line 5: loss.backward()",
    f"genops:line:{ID}:6": '[2] line 6: say("ünï \\" …")',
    f"genops:line:{ID}:7": "[2] line 7",
    "genops:line:In%5B3%5D:1": "[3] line 1: y = x + 1",
    "genops:line:In%5B4%5D:1": "[4] line 1",
    "genops:line:%2Fhome%2Fme%2Ftrain.py:12": "/home/me/train.py:12: step()",
    "genops:line:0f-unknown-1:3": "cell 0f-unkno, line 3",
    "genops:what": "genops:what",
    "aten::mm": "aten::mm",
}


def trace(cells: Any = CELLS, number: int = 2) -> str:
    if cells is CELLS:
        cells = [{**CELLS[0], "number": number}, *CELLS[1:]]
    events = [
        {"ph": "X", "cat": "user_annotation", "name": name, "pid": 1, "tid": 1, "ts": 100 * at, "dur": 50}
        for at, name in enumerate(NAMES)
    ]
    return json.dumps({"genopsCells": cells, "traceEvents": events})


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_markers_are_shown_as_cells_and_lines(tmp_path: Path) -> None:
    columns = read(written(tmp_path / "t.json", trace()))
    assert dict(zip(columns.names, shown_names(columns), strict=True)) == NAMES
    column_files.save(columns, tmp_path / "columns")
    assert shown_names(column_files.load(tmp_path / "columns")) == shown_names(columns)
    assert {node.name for node in flame(columns).nodes} >= {*NAMES.values()}


def test_columns_of_before_tell_no_cells(tmp_path: Path) -> None:
    column_files.save(read(written(tmp_path / "t.json", trace())), tmp_path / "columns")
    manifest = tmp_path / "columns" / "columns.json"
    content = json.loads(manifest.read_text())
    del content["cells"]
    manifest.write_text(json.dumps(content))
    assert "cell 72aa9305, line 5" in shown_names(column_files.load(tmp_path / "columns"))


@pytest.mark.parametrize(
    "cells",
    [None, 7, "x", [7], [{}], [{"name": 7}], [{"name": ID, "number": "x", "lines": 7}],
     [{"name": ID, "number": -1, "lines": {"x": "a", "5": 7, "-1": "b"}}]],
)  # fmt: skip
def test_what_is_wrong_there_is_passed_over(tmp_path: Path, cells: Any) -> None:
    columns = read(written(tmp_path / "t.json", trace(cells)))
    assert "cell 72aa9305, line 5" in shown_names(columns)
    assert not columns.damage


def test_half_a_utf_16_pair_in_a_line_is_kept_as_what_can_be_written(tmp_path: Path) -> None:
    cells = [{"name": ID, "number": 2, "lines": {"5": "say('\ud800')"}}]
    columns = read(written(tmp_path / "t.json", trace(cells)))
    column_files.save(columns, tmp_path / "columns")
    assert "[2] line 5: say('?')" in shown_names(column_files.load(tmp_path / "columns"))


def test_lines_have_their_cell_and_text(tmp_path: Path) -> None:
    found = analyze(written(tmp_path / "t.json", trace())).attribution
    assert found is not None
    places = {each.place.where: each.place for each in found.lines}
    assert places["[2] line 5"] == Place(file="[2]", line=5, cell=ID, text="loss.backward()")
    assert places["[3] line 1"] == Place(file="[3]", line=1, text="y = x + 1")
    assert places["/home/me/train.py:12"].text == "step()"


def test_a_cell_that_ran_again_is_the_same_cell(tmp_path: Path) -> None:
    before = written(tmp_path / "a.json", trace())
    after = written(tmp_path / "b.json", trace(number=9))
    found = [each for each in diff(before, after).lines if each.place and each.place.cell == ID]
    assert {each.name for each in found} >= {"[9] line 5", "[9] line 6"}
    assert {each.state for each in found} == {"both"}


def test_the_timeline_shows_and_finds_them(tmp_path: Path) -> None:
    place = str(tmp_path / "profile"), str(written(tmp_path / "t.json", trace()))
    Path(place[0]).mkdir()
    timelines = Timelines()
    described = timelines.describe(*place, None)
    assert set(described.names) == {*NAMES.values()}
    found = timelines.search(*place, None, SliceSearch(text="loss.backward"))
    assert found.count == 1 and found.slice is not None
    assert found.slice.name == "[2] line 5: loss.backward()"
    (name,) = np.frombuffer(found.names, "<i4").tolist()
    assert described.names[name] == found.slice.name
    assert timelines.search(*place, None, SliceSearch(text="genops:line")).count == 0
    assert timelines.slice(*place, None, found.slice.slice).slice.name == found.slice.name
    sums = timelines.sums(*place, None, SumsQuery(first_us=0, last_us=1e6, lanes=[described.lanes[0].lane]))
    assert {each.name for each in sums.names} == {*NAMES.values()}


def test_perfetto_is_given_them(tmp_path: Path) -> None:
    path, folder = written(tmp_path / "t.json", trace()), tmp_path / "profile"
    folder.mkdir()
    made = Cuts().cut(str(folder), str(path), CutQuery(first_us=0, last_us=50, slice=1))
    assert made.whole and made.slice is not None
    with gzip.open(folder / "cuts" / made.path, "rt", encoding="utf-8") as stream:
        events = json.load(stream)["traceEvents"]
    assert [event["name"] for event in events] == [*NAMES.values()]
    assert made.slice.name == events[1]["name"]
