"""What the stories of kernels on clusters share: their notebook, what they look at, and the restart after an end."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.support.browser import PICTURES_ASKED, SHOTS, LabPage

from .keyboard import Keyboard
from .test_keyboard_story import button, dialog
from .test_targets import item

PATIENT_MS = 90_000


def write_notebook(path: Path, sources: Sequence[str]) -> None:
    """Write a notebook with these cells."""
    cells = [
        {"cell_type": "code", "id": f"cell{at}", "metadata": {}, "outputs": [], "execution_count": None,
         "source": source}
        for at, source in enumerate(sources)
    ]  # fmt: skip
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def started(lab: LabPage) -> None:
    """Bring the module's page to its start, with the focus in it."""
    lab.start()
    lab.page.wait_for_function("() => document.activeElement?.closest('.jp-Launcher, #filebrowser')")


def fill(keys: Keyboard, form: Locator, typed: dict[str, str]) -> None:
    """Type into fields of a form, by their labels."""
    for label, text in typed.items():
        field = form.get_by_label(label, exact=True)
        keys.to(field)
        field.press("Control+a")
        keys.write(text)


def cut_out(name: str, part: Locator) -> None:
    """Keep a picture of a part of the page for the docs, where pictures are asked for (``docs/pictures.py``)."""
    if PICTURES_ASKED:
        part.screenshot(path=SHOTS / f"{name}.png")


def outputs(lab: LabPage) -> Locator:
    """The outputs of the notebook that is shown."""
    return lab.page.locator(".jp-NotebookPanel:visible .jp-OutputArea-output")


def ended(lab: LabPage, keys: Keyboard, why: str) -> Locator:
    """Wait for the end of the notebook's kernel and open the dialog that says ``why`` and restarts it."""
    before = outputs(lab).first.inner_text()
    expect(item(lab)).to_contain_text("kernel has ended", timeout=PATIENT_MS)
    item(lab).press("Enter")
    popup = lab.page.get_by_role("dialog", name="Where this notebook runs")
    expect(popup).to_contain_text(why)
    keys.to(button(popup, "Restart…"))
    lab.page.keyboard.press("Enter")
    name = lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
    end = dialog(lab, f"The kernel of “{name}” has ended")
    expect(end).to_contain_text(why)
    expect(end).to_contain_text("Outputs in the notebook stay.")
    expect(outputs(lab).first).to_have_text(before)
    return end


def restart_with_all_cells(lab: LabPage, keys: Keyboard, end: Locator) -> None:
    """Choose all cells in the dialog, and restart; wait until the first one has printed anew."""
    before = outputs(lab).first.inner_text()
    cells = end.get_by_role("checkbox").all()
    for each in cells:
        if not each.is_checked():
            keys.to(each)
            keys.press("Space")
    keys.to(end.get_by_role("button", name=re.compile(rf"Restart and run {len(cells)} cells")))
    lab.page.keyboard.press("Enter")
    expect(end).to_have_count(0, timeout=PATIENT_MS)
    expect(outputs(lab).first).not_to_have_text(before, timeout=PATIENT_MS)
