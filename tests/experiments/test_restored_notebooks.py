"""The notebook that is made of what a run kept, for any cells and names."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.experiments.models import Run
from genops_lab.experiments.restoring.environment import difference
from genops_lab.experiments.restoring.models import EnvironmentDifference, LeftOutFile
from genops_lab.experiments.restoring.notebook import MAX_ROWS, file_name, notebook
from genops_lab.experiments.restoring.run_source import (
    Kept,
    KeptCell,
    KeptDataset,
    KeptEnvironment,
    KeptGit,
    KeptPatch,
    Record,
    decoded,
)
from genops_lab.redaction.texts import Redactor, marks_in
from genops_lab.runtime.cells import Cell, kept_cells
from genops_lab.runtime.environment import as_requirements, installed, site_folders
from genops_lab.runtime.values import MAX_TEXT_CHARACTERS
from tests.support.exhaustive import examples

RUN = Run(
    run_id="0123456789abcdef0123456789abcdef", experiment_id="1", experiment="e", name="n", status="FINISHED"
)
NOT_COMPARED = EnvironmentDifference(compared=False, why="Not here.")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(deadline=None, max_examples=examples(200))
@given(st.lists(TEXTS, max_size=8))
def test_sources_come_back_byte_for_byte_where_nothing_was_redacted(sources: list[str]) -> None:
    import nbformat

    kept = kept_cells([Cell(number, source) for number, source in enumerate(sources, 1)], Redactor())
    cells = decoded(kept.as_json, list[KeptCell])
    assert cells is not None and not any(cell.altered for cell in cells)
    made = notebook(RUN, Kept(cells=cells), NOT_COMPARED, "python3")
    read = nbformat.reads(json.dumps(made), as_version=4)
    nbformat.validate(read)
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    assert len(code) == len(sources)
    for cell, source in zip(code, sources, strict=True):
        if not cell.metadata.genops.get("redacted"):
            assert cell.source == source
        assert cell.metadata.genops.sha256 == hashlib.sha256(cell.source.encode()).hexdigest()
    assert len({cell.id for cell in read.cells}) == len(read.cells)


@settings(deadline=None, max_examples=examples(100))
@given(TEXTS, TEXTS, TEXTS)
def test_names_of_a_run_cannot_change_the_form_of_what_is_said(name: str, branch: str, path: str) -> None:
    import nbformat

    run = Run(
        run_id=RUN.run_id, experiment_id="1", experiment=path, name=name, status="FINISHED", source=path
    )
    record = Record(
        git=KeptGit(
            commit="ab12; rm -rf ~", branch=branch, remote=path,
            patch=KeptPatch(files=[path], left_out=[LeftOutFile(path, branch)], redacted={path: {"x": 1}}),
        ),
        environment=KeptEnvironment(python=branch),
        host=path,
    )  # fmt: skip
    datasets = [KeptDataset(name=path, digest=branch)] * (MAX_ROWS + 2)
    kept = Kept(cells=[KeptCell(source="x")], record=record, has_patch=True, datasets=datasets)
    made = notebook(run, kept, NOT_COMPARED, "")
    nbformat.validate(nbformat.from_dict(made))
    head = made["cells"][0]["source"]
    assert "rm -rf" not in head.partition("```bash")[2].partition("```")[0]
    assert head.count("```") == 2
    assert head.splitlines()[0].startswith("# ")
    assert "and 2 more" in head
    assert file_name(run).endswith("-01234567.ipynb") and "/" not in file_name(run)


def test_what_differs_now_is_told() -> None:
    packages = installed(site_folders())
    text = as_requirements(packages)
    version = next(package.version for package in packages if package.name == "pytest")
    then = text.replace(f"pytest=={version}", "pytest==0.1") + "gone==1.0\n"
    record = Record(environment=KeptEnvironment(python="3.8.1", folders=[*site_folders(), "relative"]))
    found = difference(Kept(cells=[], record=record, installed=then))
    assert found.compared and found.python_then == "3.8.1"
    assert [(one.name, one.then, one.now) for one in found.packages] == [
        ("gone", "1.0", ""),
        ("pytest", "0.1", version),
    ]
    made = notebook(RUN, Kept(cells=[], record=record, installed=then), found, "")
    assert "| `pytest` | `0.1` |" in made["cells"][0]["source"]
    elsewhere = Record(environment=KeptEnvironment(folders=["/no/such/folder"]))
    assert not difference(Kept(cells=[], record=elsewhere, installed=then)).compared
    assert not difference(Kept(cells=[], installed=then)).compared


def test_of_a_session_that_is_too_long_the_latest_cells_are_kept() -> None:
    cells = [Cell(number, "\x01" * 150_000) for number in range(1, 11)]  # as JSON six times as long
    kept = kept_cells([*cells, Cell(11, "last")], Redactor())
    assert 2_000_000 < len(kept.as_json) <= MAX_TEXT_CHARACTERS and len(kept.as_script) <= MAX_TEXT_CHARACTERS
    found = decoded(kept.as_json, list[KeptCell])
    assert found is not None and [cell.execution_count for cell in found] == [7, 8, 9, 10, 11]
    assert kept_cells([Cell(1, "\x01" * 1_000_000)], Redactor()).as_json == "[]"


def test_cells_of_an_older_lab_and_strange_files_are_met() -> None:
    old = decoded('[{"execution_count": 1, "source": "x = 1"}]', list[KeptCell])
    assert old == [KeptCell(execution_count=1, source="x = 1")]
    made = notebook(RUN, Kept(cells=old), NOT_COMPARED, "")
    assert made["cells"][-1]["source"] == "x = 1" and "kernelspec" not in made["metadata"]
    for text in ("", "[", "{}", '[{"source": 1}]', "[" * 100_000, '[{"execution_count": 1}]'):
        assert decoded(text, list[KeptCell]) is None
    assert marks_in(made["cells"][0]["source"]) == {}
