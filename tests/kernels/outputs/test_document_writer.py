"""What no page takes comes into the document, whenever the news of it come."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from genops_lab.core.events import EventBus
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.kernels.outputs.document_writer import DocumentKeeper
from genops_lab.kernels.outputs.documents import Documents
from genops_lab.kernels.outputs.ledger import Remembered
from genops_lab.kernels.outputs.service import OutputsService

from .kernel_messages import NoJournals, SpeakingKernel
from .notebooks import cells_of, text_of, write_notebook

NAME = "work.ipynb"


async def test_the_end_of_a_run_that_comes_while_it_is_looked_up_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    manager.notary.data_dir = str(tmp_path)
    write_notebook(tmp_path / NAME, {"cell1": "code"})
    store = LocalStore(tmp_path / "store.db")
    outputs = OutputsService(Settings(data_dir=tmp_path), store, EventBus(store), NoJournals(), [])
    keeper = DocumentKeeper(
        outputs, Documents(manager), lambda _kernel: NAME, lambda _path: False, wait_s=0.0
    )
    kernel = SpeakingKernel(outputs.recorder)
    remembered = Remembered(
        kernel_id=kernel.kernel_id, target="here", kernel_name="genops-here", started_at=1.0, path=NAME
    )
    outputs.ledger.remember(remembered)
    await keeper.see(kernel.kernel_id, NAME)
    loop, look = asyncio.get_running_loop(), outputs.recorder.wanted

    def looked_up_before_the_end(kernel_id: str) -> dict[str, bool]:
        found = look(kernel_id)
        if found and not any(found.values()):
            kernel.print("m1", "the end\n")
            kernel.finish("m1")
            look(kernel_id)
            written = threading.Event()
            loop.call_soon_threadsafe(written.set)
            assert written.wait(60)
        return found

    monkeypatch.setattr(outputs.recorder, "wanted", looked_up_before_the_end)
    kernel.begin("m1", "cell1")
    deadline = time.monotonic() + 60
    while kernel.kernel_id not in outputs.recorder.kernels() or look(kernel.kernel_id):
        assert time.monotonic() < deadline, "it was not written"
        await asyncio.sleep(0.05)
    assert text_of(cells_of(tmp_path / NAME)[0]) == "the end\n"
    await keeper.close()
    outputs.close()
    store.close()
