"""A real Chromium, and JupyterLab as a person uses it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

from playwright.sync_api import (
    Browser,
    Error,
    Locator,
    Page,
    Playwright,
    Request,
    TimeoutError,
    expect,
    sync_playwright,
)

from . import exhaustive
from .lab_server import LabServer

#: The first is Chromium without a window around its pages, which costs a fifth of a page's load less.
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, PROGRAMS)), None)
WHY_NOT = "no Chromium here: apt-get install chromium-headless-shell (`make test` as root on Debian does it)"
#: Those that Playwright leaves out, as the last such switch alone counts, and the pages under the address bar: each
#: window has two of them, half a CPU second.
LEFT_OUT = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "AimEnabled"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "PaintHolding", "PreconnectToSearch"),
    *("ThirdPartyStoragePartitioning", "AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints"),
    *("NetworkTimeServiceQuerying", "WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
)
ARGUMENTS = [
    f"--disable-features={','.join(LEFT_OUT)}",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # No page lives long enough to get back what it costs to compile its scripts a third and a fourth time, nor to draw
    # it from a process of its own.
    "--js-flags=--no-maglev --no-turbofan",
    "--in-process-gpu",
    "--num-raster-threads=1",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SHOTS = Path(
    os.environ.get("GENOPS_SCREENSHOTS", Path(__file__).resolve().parents[2] / ".cache" / "screenshots")
)
#: Pictures are for people and prove nothing: they are taken by ``make test-all``, and where a folder is named.
PICTURES_ASKED = "GENOPS_SCREENSHOTS" in os.environ
#: The sections of the panel.
SECTIONS = ("This notebook", "Runs", "Models", "Deployments", "Generative AI", "Compute", "Background tasks")
#: The ids of those whose id is not their title.
SECTION_IDS = {"This notebook": "notebook", "Runs": "experiments", "Generative AI": "genai"}

Theme = Literal["light", "dark"]
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
NARROW, WIDE = (1280, 800), (1920, 1000)

#: Nothing goes round: the moons of the splash screen cost a quarter of each change of the theme, the wheel of a
#: notification a tenth of a core.
NOTHING_MOVES = """{
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(
    '#jupyterlab-splash { display: none !important; } .Toastify__spinner { animation: none !important; }'
  );
  document.adoptedStyleSheets.push(sheet);
}"""
#: Close what is open in the main area without a question, but for one launcher, and what has popped up over it.
CLOSE_ALL = """() => {
  const { commands, shell } = window.jupyterapp;
  const widgets = [...shell.widgets('main')];
  const launcher = widgets.find(each => each.node.querySelector('.jp-Launcher'));
  for (const widget of widgets.filter(each => each !== launcher)) {
    if (widget.context?.model) {
      widget.context.model.dirty = false;
    }
    widget.close();
  }
  void commands.execute('apputils:dismiss-notification');
}"""
#: Forget what the page showed another module: what is open in the panel, and what the workspace keeps.
FORGET = """async () => {
  const panel = document.getElementById('genops-lab-panel');
  const click = selector => panel?.querySelectorAll(selector).forEach(each => each.click());
  click('[aria-expanded="true"]:not(.gol-Section-toggle)');
  await window.jupyterapp.commands.execute('genops:reset-panel');
  const services = window.jupyterapp.pluginRegistry._services;
  const state = [...services.keys()].find(each => each.name === '@jupyterlab/coreutils:IStateDB');
  await (await window.jupyterapp.resolveRequiredService(state)).clear();
  window.jupyterapp.shell.expandLeft();
}"""
#: Whether the page is as it was opened: the launcher alone, no dialog, nothing that moves.
IS_SETTLED = """() => {
  const widgets = [...window.jupyterapp.shell.widgets('main')];
  return widgets.length === 1 && widgets[0].node.querySelector('.jp-Launcher') !== null
    && document.querySelector('.jp-Dialog') === null;
}"""
#: Two frames were drawn, and no transition goes on. An animation is asked for its state: the promise of its end may
#: never be kept, as that of an editor's cursor, which starts anew with each click.
STILL = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const moves = each => each.playState === 'running' && each.effect.getComputedTiming().endTime !== Infinity;
  const end = performance.now() + 10000;
  await frame();
  do {
    await frame();
  } while (document.getAnimations().some(moves) && performance.now() < end);
}"""


def _shows(theme: Theme) -> str:
    """The selector of a page in this theme."""
    return f'body[data-jp-theme-light="{"true" if theme == "light" else "false"}"]'


def _of_request(request: Request) -> str:
    return f"{request.method} {request.url}"


@contextmanager
def _playwright() -> Iterator[Playwright]:
    """The Playwright of this process: it cannot be started a second time in its thread."""
    if _running:
        yield _running[0]
        return
    with sync_playwright() as started:
        _running.append(started)
        try:
            yield started
        finally:
            _running.clear()


_running: list[Playwright] = []


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed afterwards.

    Its first context is a profile on disk: scripts that were compiled for a page are kept there for the next one,
    which makes a JupyterLab cost two thirds. Nothing moves in its pages: an animation is a frame after the other,
    each drawn by the processor.
    """
    with _playwright() as playwright, TemporaryDirectory(prefix="gol-chromium-") as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=ARGUMENTS, reduced_motion="reduce"
        )
        try:
            assert context.browser is not None
            yield context.browser
        finally:
            context.close()


class LabPage:
    """A page that shows JupyterLab."""

    #: Those that are open.
    opened: ClassVar[list[LabPage]] = []

    def __init__(self, page: Page, server: LabServer) -> None:
        self.page = page
        self.server = server
        self.problems: list[str] = []
        #: A test failed meanwhile: who knows what it left.
        self.suspect = False
        #: Its next start forgets what modules before opened in the panel and left in the workspace.
        self.forgets = False
        #: Requests without an answer: what a page that hangs may wait for.
        self.waits_for: set[str] = set()
        page.on("pageerror", lambda error: self._keep(error.stack or str(error)))
        page.on("request", lambda each: self.waits_for.add(_of_request(each)))
        page.on("requestfinished", lambda each: self.waits_for.discard(_of_request(each)))
        page.on("requestfailed", lambda each: self.waits_for.discard(_of_request(each)))

    def _keep(self, problem: str) -> None:
        """Keep an error of the page, but for those of JupyterLab and of the ipywidgets extension where a notebook is
        closed before its session is there, as the start of a test does with what the test before left open."""
        first = next((line for line in problem.splitlines() if line.lstrip().startswith("at ")), "")
        if "/extensions/@jupyter-widgets/" not in first and "._handleNewSession (" not in first:
            self.problems.append(problem)

    def open(self, path: str = "lab", *, reset: bool = True) -> None:
        """Open the Lab and wait until it is drawn."""
        query = f"token={self.server.token}" + ("&reset" if reset else "")
        self.page.goto(f"{self.server.url}{path}?{query}")
        self.ready()

    def ready(self) -> None:
        """Wait for the splash screen to go and for all that was open before to be there.

        Until then the Lab itself brings tabs to the front, those that a test has just left as well. Last comes
        its file browser: when it is restored, it opens the file that the address names.
        """
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        self.page.wait_for_selector(".jp-LabShell", timeout=60_000)
        self.page.wait_for_function("() => window.jupyterapp.restored.then(() => true)", timeout=60_000)
        self.page.wait_for_selector("#filebrowser.jp-mod-restoring", state="detached", timeout=60_000)

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        """Run a command of the application."""
        return self.page.evaluate(
            "([command, args]) => { void window.jupyterapp.commands.execute(command, args); }",
            [command, arguments or {}],
        )

    def kept_open(self, *names: str) -> None:
        """Wait until the server has the tabs of these names for the next load of the page."""
        workspaces = f"{self.server.url}lab/api/workspaces/default"
        for _ in range(100):
            kept = self.page.request.get(workspaces).text()
            # Each once as a tab and once in the layout.
            if all(kept.count(f'"{name}"') > 1 for name in names):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"the workspace does not keep {names}: {kept}")

    def start(self, *, width: int = NARROW[0], height: int = NARROW[1]) -> None:
        """Open the Lab, or bring it back to what a freshly opened one shows, which costs a tenth of that."""
        page = self.page
        self.end_kernels()
        page.set_viewport_size({"width": width, "height": height})
        if not self._at_lab():
            self.problems.clear()
            self.open()
            self.theme("light")  # the setting is the server's
            return
        page.unroute_all()
        page.keyboard.press("Escape")  # a popup or a dialog that a failed test left
        page.evaluate(CLOSE_ALL)
        if self.forgets:
            page.evaluate(FORGET)
            self.forgets = False
        try:
            page.wait_for_function(IS_SETTLED, timeout=10_000)
            self.theme("light")
        except TimeoutError:
            print(f"The page was opened again. It waited for {sorted(self.waits_for)}.")
            self.open()
            self.theme("light")
        self.go_to_folder("/")
        # A new launcher takes the focus.
        page.evaluate(
            "() => { const { shell } = window.jupyterapp; shell.activateById([...shell.widgets('main')][0].id); }"
        )
        self.still()
        self.problems.clear()  # of what the test before left open

    def _at_lab(self) -> bool:
        """Whether the page shows a Lab that answers."""
        return self.page.url.startswith(f"{self.server.url}lab") and bool(
            self.page.evaluate("() => window.jupyterapp?.serviceManager.isReady === true")
        )

    def end_kernels(self) -> None:
        """Shut down all notebooks' kernels."""
        for session in self.server.get("api/sessions"):
            self.server.request("DELETE", f"api/sessions/{session['id']}")

    def alone(self) -> None:
        """Close the side panel that is left of the main area."""
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")
        self.still()

    def double_click(self, path: str) -> None:
        """Open a file from the file browser; ``path`` is that in the Lab's folder."""
        folder, _, name = path.rpartition("/")
        self.go_to_folder(folder or "/")
        self.page.locator(".jp-DirListing-item", has_text=name).dblclick()

    def go_to_folder(self, path: str) -> None:
        """Show a folder in the file browser."""
        self.page.evaluate(
            "path => window.jupyterapp.commands.execute('filebrowser:go-to-path', { path })"
            ".then(() => window.jupyterapp.commands.execute('filebrowser:activate')).then(() => null)",
            path,
        )
        self.page.locator("#filebrowser").wait_for()

    def still(self) -> None:
        """Wait until what was changed is drawn and nothing moves."""
        self.page.evaluate(STILL)

    def theme(self, theme: Theme) -> None:
        """Change the theme and wait until it is there, and until the splash screen that covers the change is gone.

        JupyterLab takes that screen away by a timer; on a busy machine the timers of two changes meet, and the second
        one fails (``removeChild`` in jlab_core), which would be a problem of this page.
        """
        if self._is(theme):
            return
        self.execute("apputils:change-theme", {"theme": THEMES[theme]})
        self.page.wait_for_selector(_shows(theme), state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")
        self.still()

    def _is(self, theme: Theme) -> bool:
        return self.page.locator(_shows(theme)).count() > 0

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

    def main_page(self, command: str, page_id: str, **arguments: str) -> Locator:
        """A page of the main area, opened by its command."""
        self.execute(command, arguments)
        return self.page.locator(f"#{page_id}")

    def section(self, name: str) -> Locator:
        """A section of the panel, expanded, also one that is in More."""
        button = self.toggle(name)
        if not button.is_visible():
            self.execute("genops:open-panel", {"section": SECTION_IDS.get(name, name.lower())})
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

    def run_all_but_the_last(self) -> None:
        """Run all cells above the last one, and select the last one (they go on running)."""
        self.page.evaluate(
            "() => { const notebook = window.jupyterapp.shell.currentWidget.content;"
            " notebook.activeCellIndex = notebook.widgets.length - 1; }"
        )
        self.execute("notebook:run-all-above")

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
        """Give the page this size, and keep a picture of it where pictures are asked for."""
        path = SHOTS / f"{name}.png"
        self.page.set_viewport_size({"width": width, "height": height})
        self.still()
        if PICTURES_ASKED or exhaustive.ALL:
            SHOTS.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=path)
        return path

    def shot_of_failure(self, name: str) -> str:
        """Keep a picture of the page as it is; where it lies, or why there is none."""
        path = SHOTS / f"{name}.png"
        SHOTS.mkdir(parents=True, exist_ok=True)
        try:
            self.page.screenshot(path=path, timeout=10_000)
        except Error as error:
            return f"no picture: {error.message}"
        return str(path)

    def looks(self, name: str, selector: str, *sizes: tuple[int, int], daily: bool = True) -> None:
        """Look at a view in both themes and all ``sizes``: pictures, and nothing serious found inside ``selector``.

        Colours are checked in each theme, all else, which no theme changes, in the light one. Without pictures one
        size is enough, the page's own where it is one of them, and the page keeps the theme that is looked at last: a
        change of the theme or of the size draws all anew. A state of a view that is looked at elsewhere is none of
        the ``daily`` ones.
        """
        if not (daily or PICTURES_ASKED or exhaustive.ALL):
            return
        sizes = sizes or (NARROW, WIDE)
        themes: list[Theme] = ["dark", "light"]
        if not (PICTURES_ASKED or exhaustive.ALL):
            own = self.page.viewport_size
            size = (own["width"], own["height"]) if own else sizes[0]
            sizes = (size if size in sizes else sizes[0],)
            if self._is("light"):
                themes.reverse()
        for theme in themes:
            self.theme(theme)
            for width, height in sizes:
                self.shot(f"{name}-{width}-{theme}", width=width, height=height)
            found = self.serious_findings(selector, colours_alone=theme == "dark" and not exhaustive.ALL)
            assert found == [], found

    def serious_findings(self, selector: str, *, colours_alone: bool = False) -> list[str]:
        """What axe finds serious or critical inside ``selector``."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        asked: dict[str, Any] = {"resultTypes": ["violations"]}
        if colours_alone:
            asked["runOnly"] = ["color-contrast"]
        found = self.page.evaluate("([selector, asked]) => axe.run(selector, asked)", [selector, asked])
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
    """A page for a Lab, without cookies and storage of pages before: of the browser's profile, or of a fresh one while
    another page of this Lab is open there."""
    profile = browser.contexts[0]
    used = any(
        each.page.context is profile and each.server.origin == server.origin for each in LabPage.opened
    )
    context = browser.new_context(reduced_motion="reduce") if used else profile
    if context is profile:
        context.clear_cookies(name=re.compile(rf"-{server.port}$"))  # all Labs' are of one host
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.set_default_timeout(30_000)
    page.add_init_script(NOTHING_MOVES)
    if context is profile:
        what = {"origin": server.origin, "storageTypes": "all"}
        context.new_cdp_session(page).send("Storage.clearDataForOrigin", what)
    lab = LabPage(page, server)
    LabPage.opened.append(lab)
    try:
        yield lab
    finally:
        LabPage.opened.remove(lab)
        if context is not profile:
            context.close()
        elif browser.is_connected():
            kept = [each.page for each in LabPage.opened]
            for each in profile.pages[1:]:  # it ends with its last page; the first is empty
                if each not in kept:
                    each.close()


class SharedPage:
    """The page of a shared Lab that modules have one after the other: a new one after a test that failed."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._open = ExitStack()
        self._page: LabPage | None = None

    def of(self, server: LabServer) -> LabPage:
        """Return the page, for a module that starts it."""
        page = self._page
        if page is None or page.suspect or page.page.is_closed() or page.server is not server:
            self.close()
            page = self._page = self._open.enter_context(lab_page(self._browser, server))
        page.forgets = True
        return page

    def close(self) -> None:
        """Close the page, if there is one."""
        self._open.close()
        self._page = None
