"""A real Chromium, and JupyterLab as a person uses it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from .lab_server import LabServer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WHY_NOT = "no Chromium here: apt-get install chromium (`make test` as root on Debian does it)"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = Path(
    os.environ.get("GENOPS_SCREENSHOTS", Path(__file__).resolve().parents[2] / ".cache" / "screenshots")
)
SECTIONS = ("Compute", "Experiments", "Profiles", "Models", "Deployments")

Theme = Literal["light", "dark"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed afterwards."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class LabPage:
    """A page that shows JupyterLab."""

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        page.on("pageerror", lambda error: self.problems.append(error.stack or str(error)))

    def open(self, path: str = "lab", *, reset: bool = True) -> None:
        """Open the Lab and wait until it is drawn."""
        query = f"token={self.server.token}" + ("&reset" if reset else "")
        self.page.goto(f"{self.server.url}{path}?{query}")
        self.ready()

    def ready(self) -> None:
        """Wait for the splash screen to go."""
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        self.page.wait_for_selector(".jp-LabShell", timeout=60_000)

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run a command of the application."""
        return self.page.evaluate(
            "([command, args]) => { void window.jupyterapp.commands.execute(command, args); }",
            [command, arguments or {}],
        )

    def theme(self, theme: Theme) -> None:
        """Change the theme and wait until it is there."""
        self.execute("apputils:change-theme", {"theme": THEMES[theme]})
        wanted = "true" if theme == "light" else "false"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{wanted}"]', state="attached")
        self.page.wait_for_timeout(400)

    def panel(self) -> Locator:
        """The GenOps panel, opened."""
        panel = self.page.locator("#genops-lab-panel")
        if not panel.is_visible():
            self.execute("genops:open-panel")
        panel.wait_for(state="visible")
        return panel

    def toggle(self, name: str) -> Locator:
        """The button that opens and closes a section; its name may end with a count."""
        heading = self.panel().get_by_role("heading", level=3, name=re.compile(rf"^{name}\b"))
        return heading.get_by_role("button")

    def section(self, name: str) -> Locator:
        """A section of the panel, expanded."""
        button = self.toggle(name)
        for _ in range(4):  # the panel may be restored between the look and the click
            if button.get_attribute("aria-expanded") == "false":
                button.click()
            with suppress(AssertionError):
                expect(button).to_have_attribute("aria-expanded", "true", timeout=5000)
                break
        expect(button).to_have_attribute("aria-expanded", "true")
        region = button.get_attribute("aria-controls")
        return self.page.locator(f"#{region}")

    def open_notebook(self, name: str) -> None:
        """Open a notebook and wait for its kernel."""
        self.execute("docmanager:open", {"path": name})
        self.page.locator(".jp-NotebookPanel:visible .jp-Notebook").wait_for(timeout=30_000)
        self.kernel_idle()

    def kernel_idle(self, timeout_ms: int = 60_000) -> None:
        """Wait until the notebook's kernel is idle."""
        self.page.get_by_text(re.compile(r"\(ipykernel\) \| Idle")).first.wait_for(timeout=timeout_ms)

    def run_all(self) -> None:
        """Run all cells (they go on running)."""
        self.execute("notebook:run-all-cells")

    def outputs(self) -> list[str]:
        """The text of each code cell's output."""
        return [cell.inner_text() for cell in self.page.locator(".jp-CodeCell .jp-Cell-outputArea").all()]

    def wait_for_last_cell(self, timeout_ms: int) -> None:
        """Wait until the last code cell has run, or one has failed (then say which)."""
        self.page.wait_for_function(
            """() => {
              const cells = [...document.querySelectorAll('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell')];
              const prompts = cells.map(c => c.querySelector('.jp-InputArea-prompt')?.textContent ?? '');
              const outputs = [...document.querySelectorAll('.jp-OutputArea-output')];
              const failed = outputs.some(output => /Traceback \\(most recent/.test(output.textContent));
              return failed || (cells.length > 0 && /\\[\\d+\\]/.test(prompts[prompts.length - 1]));
            }""",
            timeout=timeout_ms,
        )

    def shot(self, name: str, *, width: int = 1280, height: int = 800) -> Path:
        """Keep a picture of the page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_timeout(300)
        path = SHOTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def serious_findings(self, selector: str) -> list[str]:
        """What axe finds serious or critical inside ``selector``."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("selector => axe.run(selector, {resultTypes: ['violations']})", selector)
        return [
            f"{violation['id']}: {violation['help']} at {node['target']} {node.get('failureSummary', '')}"
            for violation in found["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]


@contextmanager
def lab_page(
    browser: Browser, server: LabServer, *, width: int = 1280, height: int = 800
) -> Iterator[LabPage]:
    """A fresh browser profile with a page for a Lab."""
    context = browser.new_context(viewport={"width": width, "height": height})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(30_000)
    try:
        yield LabPage(page, server)
    finally:
        context.close()
