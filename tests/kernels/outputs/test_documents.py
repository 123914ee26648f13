"""Outputs into notebooks on disk, through Jupyter's own contents manager."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from genops_lab.core.errors import Failed
from genops_lab.kernels.outputs.documents import Documents, Written

from .notebooks import cells_of, execution, stream, text_of, write_notebook

if TYPE_CHECKING:
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

CODE = {"cell1": "print(1)"}


@pytest.fixture
def manager(tmp_path: Path) -> AsyncLargeFileManager:
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

    found = AsyncLargeFileManager(root_dir=str(tmp_path))
    (tmp_path / ".jupyter").mkdir()
    found.notary.data_dir = str(tmp_path / ".jupyter")
    return found


@pytest.fixture
def documents(manager: AsyncLargeFileManager) -> Documents:
    return Documents(manager)


def write(documents: Documents, seen: str | None, *runs: object) -> Written:
    return asyncio.run(documents.write("work.ipynb", runs or (execution(),), seen))  # type: ignore[arg-type]


def seen(documents: Documents) -> str | None:
    return asyncio.run(documents.hash_of("work.ipynb"))


def test_outputs_are_written_once_and_the_hash_is_the_files(documents: Documents, tmp_path: Path) -> None:
    write_notebook(tmp_path / "work.ipynb", CODE)
    written = write(documents, seen(documents))
    assert not written.beside
    (cell,) = cells_of(tmp_path / "work.ipynb")
    assert text_of(cell) == "1\n" and cell.execution_count == 7
    content = (tmp_path / "work.ipynb").read_bytes()
    assert write(documents, written.hash) == written
    assert (tmp_path / "work.ipynb").read_bytes() == content


def test_a_file_that_was_changed_is_left_alone(documents: Documents, tmp_path: Path) -> None:
    write_notebook(tmp_path / "work.ipynb", CODE)
    before = seen(documents)
    write_notebook(tmp_path / "work.ipynb", {**CODE, "cell2": "mine"})
    changed = (tmp_path / "work.ipynb").read_bytes()
    written = write(documents, before)
    assert written.beside and written.path == "work.recovered.ipynb"
    assert (tmp_path / "work.ipynb").read_bytes() == changed
    cells = cells_of(tmp_path / "work.recovered.ipynb")
    assert text_of(cells[0]) == "1\n" and cells[1].source == "mine"
    # A second time goes into the same file, and adds what is new only.
    write(documents, before, execution(), execution(cell_id="cell2", code="mine", outputs=[stream("2\n")]))
    assert [text_of(cell) for cell in cells_of(tmp_path / "work.recovered.ipynb")] == ["1\n", "2\n"]


@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_was_never_seen_or_is_gone_is_not_written(
    documents: Documents, tmp_path: Path, there: bool
) -> None:
    if there:
        write_notebook(tmp_path / "work.ipynb", CODE)
    written = write(documents, None)
    assert written.beside
    assert (tmp_path / "work.ipynb").exists() is there
    assert "1\n" in [
        text_of(cell) for cell in cells_of(tmp_path / "work.recovered.ipynb") if "outputs" in cell
    ]


def test_a_file_that_is_no_notebook_is_left_alone(documents: Documents, tmp_path: Path) -> None:
    (tmp_path / "work.ipynb").write_text("<<<<<<< a conflict")
    written = write(documents, seen(documents))
    assert written.beside
    assert (tmp_path / "work.ipynb").read_text() == "<<<<<<< a conflict"


def test_a_trusted_notebook_stays_trusted(
    documents: Documents, manager: AsyncLargeFileManager, tmp_path: Path
) -> None:
    import nbformat

    write_notebook(tmp_path / "work.ipynb", CODE)
    asyncio.run(manager.trust_notebook("work.ipynb"))
    html = {"output_type": "display_data", "data": {"text/html": "<b>1</b>"}, "metadata": {}}
    write(documents, seen(documents), execution(outputs=[html]))
    notebook = nbformat.read(tmp_path / "work.ipynb", as_version=4)
    assert manager.notary.check_signature(notebook)


def test_an_untrusted_notebook_does_not_become_trusted(
    documents: Documents, manager: AsyncLargeFileManager, tmp_path: Path
) -> None:
    import nbformat

    write_notebook(tmp_path / "work.ipynb", {**CODE, "evil": "?"})
    notebook = nbformat.read(tmp_path / "work.ipynb", as_version=4)
    html = nbformat.v4.new_output("display_data", data={"text/html": "<script>"})
    notebook.cells[1].outputs = [html]
    nbformat.write(notebook, tmp_path / "work.ipynb")
    write(documents, seen(documents))
    written = nbformat.read(tmp_path / "work.ipynb", as_version=4)
    assert text_of(written.cells[0]) == "1\n"
    assert not manager.notary.check_signature(written)


def test_a_save_that_fails_says_so(
    documents: Documents, manager: AsyncLargeFileManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(tmp_path / "work.ipynb", CODE)

    async def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(manager, "_save_notebook", full)
    with pytest.raises(Failed, match="No space left"):
        write(documents, seen(documents))


#: A server extension, under the name of one that cannot be had without a Lab of its own.
EXTENSION = """from jupyter_server.extension.application import ExtensionApp
class App(ExtensionApp):
    name = {name!r}
def _jupyter_server_extension_points():
    return [{{"module": {name!r}, "app": App}}]
"""


def test_an_extension_that_keeps_documents_or_runs_cells_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins; the real ones are in tests/packaging/test_collaboration.py."""
    from jupyter_server.serverapp import ServerApp

    from genops_lab.kernels.outputs.ownership import limits, writes_documents

    monkeypatch.syspath_prepend(str(tmp_path))
    server = ServerApp(runtime_dir=str(tmp_path), root_dir=str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setenv("JUPYTER_NO_CONFIG", "1")
        server.initialize(["--allow-root"], find_extensions=False, new_httpserver=False)
    server.extension_manager.serverapp = server
    before = limits(server)
    assert writes_documents(server)
    for name, said in (
        ("jupyter_server_nbmodel", "nbmodel runs"),
        ("jupyter_server_documents", "manages notebooks"),
    ):
        (tmp_path / f"{name}.py").write_text(EXTENSION.format(name=name))
        assert server.extension_manager.add_extension(name, enabled=True)
        (more,) = set(limits(server)) - set(before)
        assert said in more
        before = limits(server)
    assert not writes_documents(server)
