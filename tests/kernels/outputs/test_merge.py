"""Outputs into a notebook's content."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.kernels.outputs.merge import holds, merge, supersedes

from .notebooks import execution, new_notebook, stream


def test_outputs_go_to_their_cell_with_the_count() -> None:
    import nbformat

    notebook = new_notebook({"cell1": "print(1)", "cell2": "print(2)"})
    assert merge(notebook, [execution()]).changed
    first, second = notebook["cells"]
    assert first["outputs"] == [stream("1\n")] and first["execution_count"] == 7
    assert second["outputs"] == []
    nbformat.validate(nbformat.from_dict(notebook))


@pytest.mark.parametrize("sources", [{"cell1": "print('edited')"}, {"other": "print(1)"}])
def test_outputs_of_an_edited_or_deleted_cell_are_recovered_at_the_end(sources: dict[str, str]) -> None:
    import nbformat

    notebook = new_notebook(sources)
    assert merge(notebook, [execution()]).changed
    own, heading, recovered = notebook["cells"]
    assert own["outputs"] == []
    assert heading["cell_type"] == "markdown" and "Recovered outputs" in heading["source"]
    assert recovered["source"] == "print(1)" and recovered["outputs"] == [stream("1\n")]
    nbformat.validate(nbformat.from_dict(notebook))
    merge(notebook, [execution(cell_id="gone")])
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["code", "markdown", "code", "code"]


def test_a_deleted_cell_without_outputs_leaves_nothing() -> None:
    notebook = new_notebook({})
    assert not merge(notebook, [execution(outputs=[])]).changed
    assert notebook["cells"] == []


def test_the_last_run_of_a_cell_counts() -> None:
    notebook = new_notebook({"cell1": "print(1)"})
    merge(
        notebook,
        [execution(msg_id="a", outputs=[stream("old")]), execution(msg_id="b", outputs=[stream("new")])],
    )
    assert notebook["cells"][0]["outputs"] == [stream("new")]


def test_before_nbformat_4_5_the_source_tells_the_cell() -> None:
    import nbformat

    notebook = new_notebook({"x": "print(1)", "y": "print(2)", "z": "print(2)"})
    notebook["nbformat_minor"] = 4
    for cell in notebook["cells"]:
        del cell["id"]
    merge(notebook, [execution(), execution(cell_id="cell2", code="print(2)", outputs=[stream("2\n")])])
    assert notebook["cells"][0]["outputs"] == [stream("1\n")]
    assert notebook["cells"][1]["outputs"] == notebook["cells"][2]["outputs"] == []  # it could be either
    assert notebook["cells"][-1]["outputs"] == [stream("2\n")]
    assert all("id" not in cell for cell in notebook["cells"])
    nbformat.validate(nbformat.from_dict(notebook))


RUNS = st.lists(
    st.builds(
        lambda cell, code, text: execution(
            cell_id=f"c{cell}", code=code, msg_id=f"m{cell}{code}", outputs=[stream(text)] if text else []
        ),
        st.integers(0, 3),
        st.sampled_from(["same", "other"]),
        st.sampled_from(["", "a\n", "a\nb\n"]),
    ),
    max_size=6,
    unique_by=lambda run: run.msg_id,
)


@given(RUNS)
def test_merging_again_changes_nothing_and_nothing_is_lost(runs: list) -> None:
    import nbformat

    notebook = new_notebook({"c0": "same", "c1": "same", "c2": "other"})
    before = copy.deepcopy(notebook)
    merge(notebook, runs)
    nbformat.validate(nbformat.from_dict(notebook))
    once = copy.deepcopy(notebook)
    assert not merge(notebook, runs).changed
    assert notebook == once
    last = {run.cell_id: run for run in runs}
    for run in last.values():
        shown = [cell["outputs"] for cell in notebook["cells"] if "outputs" in cell]
        assert not run.outputs or run.outputs in shown
    # What the user wrote is as it was.
    assert [cell["source"] for cell in notebook["cells"][:3]] == [cell["source"] for cell in before["cells"]]


def test_what_a_file_holds_is_compared_as_shown() -> None:
    notebook = new_notebook({"cell1": "print(1)"})
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": "a\nb\n"},
        {"output_type": "display_data", "data": {"text/html": "<b>\n</b>", "application/json": ["x"]}, "metadata": {}},
    ]  # fmt: skip
    run = execution(outputs=outputs)
    assert not holds(notebook, run)
    cell = notebook["cells"][0]
    cell["outputs"] = copy.deepcopy(outputs)
    cell["outputs"][0]["text"] = ["a\n", "b\n"]
    cell["outputs"][1]["data"]["text/html"] = ["<b>\n", "</b>"]
    cell["execution_count"] = 7
    assert holds(notebook, run)
    cell["outputs"].pop()
    assert not holds(notebook, run)


def test_what_a_page_that_saw_the_end_saves_is_meant() -> None:
    notebook = new_notebook({"cell1": "print(1)"})
    run = execution()
    assert not supersedes(notebook, run, shown=False)  # it may be saved while the cell still ran
    assert supersedes(notebook, run, shown=True)  # cleared
    notebook["cells"][0]["execution_count"] = 7
    assert supersedes(notebook, run, shown=False)  # the page had the reply
    notebook["cells"][0]["execution_count"] = 6
    assert not supersedes(notebook, run, shown=True)
    assert supersedes(new_notebook({}), run, shown=True)  # deleted
    assert not supersedes(new_notebook({}), run, shown=False)
