"""Make the pictures of the docs from the product: ``make pictures``, or ``make pictures ARGS="track sweep"``.

A picture is a function with ``@picture``: it acts in a real JupyterLab and saves what is on the page. ``after`` names
the picture whose state a picture needs. The host ``gpu-box`` is a real sshd on this machine, without a GPU. The names
that the front end gives to its parts are in the tables below, and nowhere else.

The script needs Linux and root. It runs in namespaces of its own: pictures show ``/home/ada`` and ``laptop`` in place
of folders and the name of this machine, and every process ends with the script.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import platform
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.browser import CHROMIUM, WHY_NOT, LabPage, chromium, lab_page  # noqa: E402
from tests.support.homes import Home, without_debugger  # noqa: E402
from tests.support.lab_server import LabServer, free_port, running_lab  # noqa: E402
from tests.support.sshd import Sshd  # noqa: E402

PICTURES = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
PATIENT_MS = 240_000
#: The most bytes of a picture and of the screencast.
PICTURE_BYTES, SCREENCAST_BYTES = 120_000, 1_500_000
HOME = Path("/home/ada")
#: The user's name, and one thread for PyTorch: two that wait for each other take minutes on a busy machine.
USER = {"USER": "ada", "LOGNAME": "ada", "OMP_NUM_THREADS": "1"}
#: Set in the process that has namespaces of its own: a folder for homes, with the names that no picture may show.
INSIDE = "PICTURES_INSIDE"

#: The ids of the panel's sections. Ids outlive titles.
NOTEBOOK, RUNS, MODELS, DEPLOYMENTS, COMPUTE = (
    "notebook", "experiments", "models", "deployments", "compute",
)  # fmt: skip
#: The names of buttons and fields, and the states that are waited for.
LABELS = {
    "host": re.compile(r"^Host$"),
    "trust the key": re.compile(r"^Trust this key$"),
    "host is ready": re.compile(r"^Done$"),
    "pull": re.compile(r"^(Pull|Bring)"),
    "pulled": re.compile(r"^Close$"),
    "parameters": re.compile(r"^Parameters$"),
    "query": re.compile(r"^Query$"),
    "charts": re.compile(r"^Charts$"),
    "finished": re.compile(r"Finished"),
    "all trials": re.compile(r"6 of 6 trials"),
    "running": re.compile(r"^Running$"),
}
#: The places of things on the page.
PLACES = {
    "dialog": ".jp-Dialog-content",
    "popup": ".gol-Popup",
    "target of the notebook": ".jp-NotebookPanel:visible .gol-TargetItem-button",
    "run card": ".jp-NotebookPanel:visible [role=group][aria-label^='Run ']",
    "profile card": ".jp-NotebookPanel:visible [role=group][aria-label^='Profile ']",
    "sweep card": ".jp-NotebookPanel:visible [role=group][aria-label^='Sweep ']",
    "profile": ".gol-Profile:visible",
    "run table": ".gol-RunTable:visible",
    "charts": ".gol-Charts:visible",
    "comparison": ".gol-Comparison:visible",
}

MODULE = '''"""The network of the quickstart, and the handwritten digits that come with scikit-learn."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

torch.manual_seed(0)
digits = load_digits()
pixels = (digits.data / 16.0).astype(np.float32)
train_x, test_x, train_y, test_y = map(
    torch.from_numpy, train_test_split(pixels, digits.target, random_state=0, stratify=digits.target)
)
loss_of = nn.CrossEntropyLoss()


def network(hidden=128):
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 10))


def train_one_epoch(model, optimizer):
    """Return the mean loss, and the accuracy on pictures that the network has not seen."""
    model.train()
    total = 0.0
    for batch in torch.randperm(len(train_x)).split(64):
        optimizer.zero_grad()
        loss = loss_of(model(train_x[batch]), train_y[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    model.eval()
    with torch.no_grad():
        accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
    return total / len(train_x), accuracy
'''

TRAIN = [
    "%load_ext genops_lab",
    "import time, torch\nfrom digits import loss_of, network, train_one_epoch, train_x, train_y\n\n"
    "model = network()",
    """%%track --name digits-mlp --experiment quickstart
import genops

learning_rate = 0.002
optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
for epoch in range(40):
    loss, accuracy = train_one_epoch(model, optimizer)
    genops.log({"loss": loss, "accuracy": accuracy}, step=epoch)
    time.sleep(0.3)  # slow enough to watch
torch.save(model.state_dict(), "digits.pt")""",
    """%%profile --title "ten training steps"
model.train()
for batch in torch.randperm(len(train_x)).split(64)[:10]:
    optimizer.zero_grad()
    loss_of(model(train_x[batch]), train_y[batch]).backward()
    optimizer.step()
model.eval();""",
]

DEPLOY = [
    """%load_ext genops_lab
import mlflow, torch
from digits import network, test_x

model = network()
model.load_state_dict(torch.load("digits.pt"));""",
    """%%track --name digits-model --experiment quickstart
mlflow.pytorch.log_model(
    model, name="model", input_example=test_x[:2].numpy(),
    pip_requirements=["torch"],
)""",
    "%genops models register digits --run latest --alias champion",
    "service = %genops deploy digits --version champion --name digits --wait\nservice",
    """import genops

answer = genops.predict("digits", test_x[:8].numpy())
torch.tensor(answer).argmax(1)""",
]

SWEEP = [
    "%load_ext genops_lab",
    "import torch\nfrom digits import network, train_one_epoch",
    """%%sweep learning_rate=0.0005,0.002,0.01 hidden=16,128 --metric accuracy --maximize --parallel 2
import genops

learning_rate, hidden = 0.002, 128
model = network(hidden)
optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
for epoch in range(12):
    loss, accuracy = train_one_epoch(model, optimizer)
    genops.log({"loss": loss, "accuracy": accuracy}, step=epoch)""",
]

#: A model as code: the price of a flat. The second version fails for large ones, 5 % of those that are asked about.
PRICES = """import mlflow
import numpy as np


class Prices(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["area"] > LARGEST).any():
            raise ValueError("area is out of range")
        return np.round(model_input["area"] * 5200 + model_input["rooms"] * 9000, -3)


mlflow.models.set_model(Prices())
"""
SERVE = [
    "%load_ext genops_lab\nimport mlflow, pandas as pd\n\nflat = pd.DataFrame({'area': [71.0], 'rooms': [3]})",
    *(
        f"""%%track --name prices-{number}
mlflow.pyfunc.log_model(
    python_model="prices_{number}.py", name="model", input_example=flat,
    registered_model_name="prices", pip_requirements=["mlflow"],
)"""
        for number in (1, 2)
    ),
    "%genops deploy prices --version 1 --name prices --wait",
]

HUB_CELLS = ["%load_ext genops_lab", "%genops doctor"]


# the stage


@dataclass
class Stage:
    """A host, a JupyterLab, its page, and the pictures taken of it."""

    wanted: set[str]
    browser: Browser
    host: Sshd
    server: LabServer
    lab: LabPage
    frames: list[tuple[str, Image.Image]] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.lab.page

    def place(self, name: str) -> Locator:
        """A thing of the page, by its name in PLACES."""
        return self.page.locator(PLACES[name]).first

    def button(self, name: str, within: Locator | None = None) -> Locator:
        """A button, by its name in LABELS."""
        return (within or self.page.locator("body")).get_by_role("button", name=LABELS[name]).first

    def panel(self, *sections: str) -> None:
        """Show the panel with these sections open, and no others."""
        self.lab.panel()
        for button in self.page.locator("#genops-lab-panel .gol-Section-toggle:visible").all():
            one = (button.get_attribute("aria-controls") or "").removeprefix("genops-lab-section-")
            wanted = one.removesuffix("-body") in sections
            if wanted != (button.get_attribute("aria-expanded") == "true"):
                button.click()

    def section(self, name: str) -> Locator:
        """The body of a section of the panel."""
        return self.page.locator(f"#genops-lab-section-{name}-body")

    def widen_panel(self, width: int) -> None:
        """Give the side panel this width."""
        handle = self.page.locator("#jp-main-split-panel > .lm-SplitPanel-handle").first.bounding_box()
        assert handle is not None
        self.page.mouse.move(handle["x"] + handle["width"] / 2, 400)
        self.page.mouse.down()
        self.page.mouse.move(width, 400, steps=8)
        self.page.mouse.up()

    def open_notebook(self, path: str) -> None:
        """Open a notebook and wait for its kernel."""
        self.page.evaluate("() => window.jupyterapp.serviceManager.kernelspecs.refreshSpecs()")
        self.lab.execute("docmanager:open", {"path": path})
        self.page.wait_for_function(
            """path => {
              const widget = window.jupyterapp.shell.currentWidget;
              return widget?.context?.path === path && widget.sessionContext?.session?.kernel?.status === 'idle';
            }""",
            arg=path,
            timeout=PATIENT_MS,
        )

    def save_notebook(self) -> None:
        """Save the notebook in front."""
        self.page.evaluate(
            "() => { window.isSaved = false; void window.jupyterapp.shell.currentWidget.context.save()"
            ".then(() => { window.isSaved = true; }); }"
        )
        self.page.wait_for_function("() => window.isSaved", timeout=PATIENT_MS)

    def run_cells(self, first: int, last: int) -> None:
        """Run these cells of the notebook in front, and leave the last one selected."""
        for number in range(first, last + 1):
            self.page.evaluate(
                "number => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;"
                " void window.jupyterapp.commands.execute('notebook:run-cell'); }",
                number,
            )

    def cell(self, number: int) -> Locator:
        """A cell of the notebook in front."""
        return self.page.locator(".jp-NotebookPanel:visible .jp-Cell").nth(number)

    def finished(self, number: int) -> None:
        """Wait until a cell has run. Fails where it raised."""
        found = self.cell(number)
        expect(found.locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\d"), timeout=PATIENT_MS)
        expect(found.get_by_text("Traceback")).to_have_count(0)

    def open_row(self, row: Locator) -> None:
        """Open a row of a list, which may be open."""
        if row.get_attribute("aria-expanded") == "false":
            row.click()

    def show(self, thing: Locator) -> None:
        """Scroll a thing to the top of what scrolls."""
        thing.evaluate("node => node.scrollIntoView({ block: 'start' })")

    def settle(self) -> None:
        """Wait until nothing loads or moves, and take away notifications."""
        expect(self.page.get_by_role("status", name="Loading")).to_have_count(0)
        self.lab.execute("apputils:dismiss-notification")
        expect(self.page.locator(".Toastify__toast")).to_have_count(0)
        size = self.page.viewport_size or SIZE
        self.page.mouse.move(size["width"] / 2, size["height"] - 4)
        self.lab.still()

    def seen(self, part: Locator | None = None, margin: int = 0) -> Image.Image:
        """The page or a part of it, which names nothing of this machine."""
        self.settle()
        return picture_of(self.page, self.server.token, part, margin)

    def save(self, name: str, part: Locator | None = None, margin: int = 0) -> None:
        """Keep the page, or a part of it, as a picture of the docs, if that one is wanted."""
        if name in self.wanted:
            write(name, self.seen(part, margin))

    def frame(self, caption: str) -> None:
        """Keep the page as a frame of the screencast."""
        if "screencast" in self.wanted:
            self.frames.append((caption, self.seen()))


def picture_of(page: Page, secret: str, part: Locator | None = None, margin: int = 0) -> Image.Image:
    """Return a picture of a page. Fail if the page names something of this machine."""
    text = page.evaluate(
        "() => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')]"
        ".filter(each => each.type !== 'hidden').map(each => each.value)].join('\\n')"
    )
    for name in [*json.loads((Path(os.environ[INSIDE]) / "names").read_text()), secret]:
        found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
        assert found is None, (
            f"{name!r} is on the page: {text[max(0, found.start() - 80) : found.end() + 80]!r}"
        )
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    if part is None:
        return image
    box = part.bounding_box()
    assert box is not None
    left, top = max(0, round(box["x"]) - margin), max(0, round(box["y"]) - margin)
    right = min(image.width, round(box["x"] + box["width"]) + margin)
    return image.crop((left, top, right, min(image.height, round(box["y"] + box["height"]) + margin)))


def write(name: str, image: Image.Image) -> None:
    """Write a picture with 256 colours, which no eye tells from all."""
    path = PICTURES / f"{name}.png"
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"docs/images/{path.name}: {image.width} x {image.height}, {size / 1000:.0f} kB", flush=True)
    assert size <= PICTURE_BYTES, f"{path.name} is larger than {PICTURE_BYTES / 1000:.0f} kB"


@dataclass(frozen=True)
class Picture:
    """A picture that can be made."""

    make: Callable[[Stage], None]
    after: Callable[[Stage], None] | None


MADE: dict[str, Picture] = {}


def picture(
    after: Callable[[Stage], None] | None = None,
) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    """Register a function that makes the picture of its name."""

    def register(make: Callable[[Stage], None]) -> Callable[[Stage], None]:
        MADE[make.__name__] = Picture(make, after)
        return make

    return register


# the pictures


@picture()
def connect(stage: Stage) -> None:
    """A host of the ssh_config is added; its test is done."""
    stage.panel(COMPUTE)
    stage.widen_panel(400)
    stage.lab.execute("genops:add-target")
    stage.page.get_by_label(LABELS["host"]).fill("gpu-box")
    stage.page.keyboard.press("Enter")
    trust = stage.button("trust the key")
    trust.wait_for(timeout=PATIENT_MS)
    stage.frame("Connect a host by its SSH login: is this its key?")
    trust.click()
    ready = stage.button("host is ready", stage.place("dialog"))
    ready.wait_for(timeout=PATIENT_MS)
    stage.frame("Every step from the key to the logout is tested")
    stage.save("connect", stage.place("dialog"), 12)
    ready.click()
    stage.place("dialog").wait_for(state="detached")


@picture(after=connect)
def track(stage: Stage) -> None:
    """A tracked cell on the host, through a reload of the page while it runs."""
    stage.open_notebook("digits/train.ipynb")
    stage.panel(RUNS)
    stage.run_cells(0, 2)
    card = stage.place("run card")
    expect(card.get_by_role("img").first).to_be_visible(timeout=PATIENT_MS)
    stage.page.wait_for_timeout(2000)
    stage.save_notebook()
    stage.frame("Train on gpu-box: a tracked cell draws its curves")
    stage.page.reload()
    stage.lab.ready()
    expect(card.get_by_role("img").first).to_be_visible(timeout=PATIENT_MS)
    stage.page.wait_for_timeout(2000)
    stage.frame("Reload the page: the cell keeps running, no output is lost")
    stage.save("track")
    stage.finished(2)
    expect(card).to_contain_text(LABELS["finished"], timeout=PATIENT_MS)
    stage.save_notebook()
    stage.frame("The run keeps parameters, metrics, code and packages")


@picture()
def manifest(stage: Stage) -> None:
    """The YAML of a target on Kubernetes, in its editor. No cluster is asked."""
    config = {"context": "lab", "namespace": "team", "image": "team/train:1.4", "gpus": 1, "memory": "64Gi"}
    added = {"name": "cluster", "kind": "kubernetes", "config": config}
    stage.server.request("POST", "genops/targets", added)
    stage.lab.execute("genops:target-request", {"name": "cluster"})
    stage.place("dialog").get_by_role("textbox").wait_for(timeout=PATIENT_MS)
    stage.save("manifest", stage.place("dialog"), 12)
    stage.page.keyboard.press("Escape")
    stage.page.keyboard.press("Escape")
    stage.place("dialog").wait_for(state="detached")
    stage.server.request("DELETE", "genops/targets/cluster")


@picture(after=track)
def profile(stage: Stage) -> None:
    """The page of a profile."""
    stage.run_cells(3, 3)
    card = stage.place("profile card")
    card.wait_for(timeout=PATIENT_MS)
    stage.finished(3)
    stage.show(stage.cell(3))
    stage.frame("Profile: where the time goes, line by line")
    found = stage.server.get("genops/profiles")[0]
    stage.lab.alone()
    stage.lab.execute("genops:open-profile", {"id": found["id"]})
    stage.place("profile").get_by_role("img").first.wait_for(timeout=PATIENT_MS)
    stage.frame("The whole profile: advice, operators, timeline, memory")
    stage.save("profile")


@picture(after=profile)
def remote(stage: Stage) -> None:
    """A notebook whose kernel runs on the host, with what can be done about it."""
    stage.page.get_by_role("tab", name="train.ipynb").click()
    stage.panel(COMPUTE)
    stage.show(stage.cell(2))
    stage.place("target of the notebook").click()
    stage.place("popup").wait_for()
    stage.save("remote")
    stage.page.keyboard.press("Escape")


@picture(after=remote)
def register(stage: Stage) -> None:
    """A model in the registry, whose weights were pulled from the host."""
    stage.lab.execute("genops:pull-folder")
    stage.button("pull", stage.place("dialog")).click(timeout=PATIENT_MS)
    stage.button("pulled", stage.place("dialog")).click(timeout=PATIENT_MS)
    stage.open_notebook("digits/deploy.ipynb")
    stage.panel(MODELS)
    stage.run_cells(0, 2)
    stage.finished(2)
    row = stage.section(MODELS).get_by_role("button", name=re.compile("^digits")).first
    row.wait_for(timeout=PATIENT_MS)
    stage.open_row(row)
    stage.frame("Pull the weights, log and register the model")
    stage.save("register")


@picture(after=register)
def deploy(stage: Stage) -> None:
    """A deployment that answers."""
    stage.panel(DEPLOYMENTS)
    stage.run_cells(3, 4)
    deployments = stage.section(DEPLOYMENTS)
    deployments.get_by_text(LABELS["running"]).first.wait_for(timeout=PATIENT_MS)
    stage.finished(4)
    stage.open_row(deployments.get_by_role("button", name=re.compile("^digits")).first)
    stage.show(stage.cell(2))
    stage.frame("Deploy: the model answers requests on this machine")
    stage.save("deploy")


@picture(after=deploy)
def panel(stage: Stage) -> None:
    """The panel beside a notebook."""
    stage.page.get_by_role("tab", name="train.ipynb").click()
    stage.panel(NOTEBOOK, RUNS, MODELS)
    stage.save("panel")


@picture(after=deploy)
def screencast(stage: Stage) -> None:
    """Write the frames of the pictures before as a loop."""
    path = PICTURES / "screencast.webp"
    count = len(stage.frames)
    frames = [
        captioned(image, caption, number, count) for number, (caption, image) in enumerate(stage.frames)
    ]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=3000, loop=0, lossless=True, method=4
    )
    size = path.stat().st_size
    print(f"docs/images/{path.name}: {len(frames)} frames, {size / 1000:.0f} kB", flush=True)
    assert size <= SCREENCAST_BYTES


def captioned(image: Image.Image, caption: str, number: int, count: int) -> Image.Image:
    """A frame with its caption below it, and how far the loop is."""
    bar = 44
    whole = Image.new("RGB", (image.width, image.height + bar), "#24292f")
    whole.paste(image)
    draw = ImageDraw.Draw(whole)
    draw.rectangle((0, image.height, image.width * (number + 1) // count, image.height + 3), "#1976d2")
    font = ImageFont.load_default(22)
    draw.text((image.width // 2, image.height + bar // 2 + 1), caption, "white", font, anchor="mm")
    return whole.quantize(256, dither=Image.Dither.NONE).convert("RGB")


@picture()
def sweep(stage: Stage) -> None:
    """A sweep of six trials in its cell."""
    stage.open_notebook("digits/sweep.ipynb")
    stage.run_cells(0, 2)
    view = stage.place("sweep card")
    expect(view).to_contain_text(LABELS["all trials"], timeout=PATIENT_MS)
    view.locator("img").first.wait_for(timeout=PATIENT_MS)
    stage.lab.alone()
    stage.show(stage.cell(2))
    stage.save("sweep", stage.cell(2))


def trials(stage: Stage) -> list[str]:
    """The ids of the sweep's trials."""
    runs = stage.server.get("genops/runs")["runs"]
    return [run["run_id"] for run in runs if "hidden" in run["params"] and "accuracy" in run["metrics"]]


@picture(after=sweep)
def compare(stage: Stage) -> None:
    """Three trials beside each other."""
    stage.lab.execute("genops:compare-runs", {"run_ids": trials(stage)[:3]})
    view = stage.place("comparison")
    expect(view.locator("table").first).to_be_visible(timeout=PATIENT_MS)
    stage.lab.alone()
    last = view.get_by_role("region", name=LABELS["parameters"]).bounding_box()
    assert last is not None
    below = SIZE["height"] - view.evaluate("node => node.getBoundingClientRect().bottom")
    stage.page.set_viewport_size({**SIZE, "height": round(last["y"] + last["height"] + below)})
    stage.save("compare", view)
    stage.page.set_viewport_size(SIZE)


@picture(after=sweep)
def runs(stage: Stage) -> None:
    """The run table with the trials of the sweep."""
    stage.lab.alone()
    stage.lab.execute("genops:open-runs")
    table = stage.place("run table")
    query = table.get_by_role("combobox", name=LABELS["query"])
    query.fill("metrics.accuracy > 0.5")
    query.press("Enter")
    rows = table.locator(".rdg-row")
    expect(rows.nth(5)).to_be_visible(timeout=PATIENT_MS)
    column = table.get_by_role("columnheader", name=re.compile("^accuracy"))
    column.click()
    column.click()
    chosen = [rows.nth(number).get_by_role("checkbox") for number in (0, 2)]
    for box in chosen:
        box.click()
    stage.page.set_viewport_size({**SIZE, "height": 460})
    stage.save("runs", table)
    stage.page.set_viewport_size(SIZE)
    for box in chosen:
        box.click()


@picture(after=runs)
def charts(stage: Stage) -> None:
    """Charts of the trials."""
    stage.button("charts", stage.place("run table")).click()
    stage.place("charts").get_by_role("img").first.wait_for(timeout=PATIENT_MS)
    stage.save("charts")


def ask_prices(stage: Stage, count: int) -> None:
    """Send requests about flats, of which every 20th is large."""
    url = stage.server.get("genops/deployments/prices")["url"] + "/invocations"
    key = stage.server.get("genops/deployments/prices/key")["key"]
    for number in range(count):
        row = {"columns": ["area", "rooms"], "data": [[10.0 * (number % 20) + 5, number % 20 // 5 + 1]]}
        request = urllib.request.Request(
            url,
            json.dumps({"dataframe_split": row}).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30).close()


@picture()
def playground(stage: Stage) -> None:
    """A deployment is tried in its form."""
    stage.open_notebook("digits/serve.ipynb")
    stage.run_cells(0, 3)
    stage.finished(3)
    stage.panel(DEPLOYMENTS)
    stage.lab.execute("genops:try-deployment", {"name": "prices"})
    stage.lab.alone()
    stage.page.get_by_role("textbox", name="area").fill("84")
    stage.page.keyboard.press("Enter")
    stage.page.get_by_role("region", name="Answer").get_by_role("cell").first.wait_for(timeout=PATIENT_MS)
    stage.save("playground")


@picture(after=playground)
def load(stage: Stage) -> None:
    """A load test with its charts."""
    stage.lab.execute("genops:try-deployment", {"name": "prices", "view": "load"})
    stage.page.get_by_label("First rate (requests/s)").fill("20")
    stage.page.get_by_label("Last rate (requests/s)").fill("400")
    stage.page.get_by_label("Length (s)").fill("20")
    stage.page.get_by_role("button", name="Start load test").click()
    stage.page.get_by_role("img", name=re.compile("^Latency")).wait_for(timeout=PATIENT_MS)
    stage.page.set_viewport_size({**SIZE, "height": 840})
    stage.save("load", stage.page.locator(".gol-Page:visible"))
    stage.page.set_viewport_size(SIZE)


@picture(after=playground)
def canary(stage: Stage) -> None:
    """The form that updates a deployment by a canary."""
    ask_prices(stage, 100)
    stage.lab.execute("genops:deploy-model", {"model": "prices", "version": "2", "name": "prices"})
    dialog = stage.place("dialog")
    dialog.get_by_label("Rollout").select_option("canary")
    dialog.get_by_label("Steps in percent").fill("50")
    dialog.get_by_label("Steps in percent").blur()
    dialog.get_by_text(re.compile("requests an hour")).wait_for(timeout=PATIENT_MS)
    stage.save("canary", dialog, 12)
    dialog.get_by_role("button", name="Deploy", exact=True).click()
    dialog.wait_for(state="detached", timeout=PATIENT_MS)


@picture(after=canary)
def rollout(stage: Stage) -> None:
    """The evidence of a canary that was rolled back."""
    deadline = time.monotonic() + PATIENT_MS / 1000
    look = lambda: (stage.server.get("genops/deployments/prices")["rollout"] or {}).get("state", "")  # noqa: E731
    while look() != "rolled back":
        assert time.monotonic() < deadline, look()
        ask_prices(stage, 100)
    stage.panel(DEPLOYMENTS)
    stage.lab.execute("genops:try-deployment", {"name": "prices", "view": "rollout"})
    page = stage.page.locator(".gol-Page:visible")
    page.get_by_role("img").first.wait_for(timeout=PATIENT_MS)
    stage.page.set_viewport_size({**SIZE, "height": 1000})
    stage.save("rollout", page)
    stage.page.set_viewport_size(SIZE)


@picture()
def hub(stage: Stage) -> None:
    """A JupyterLab of a JupyterHub."""
    if "hub" not in stage.wanted:
        return
    with hub_stage(stage) as there:
        there.open_notebook("digits/hub.ipynb")
        there.panel(NOTEBOOK)
        there.widen_panel(400)
        there.run_cells(0, 1)
        there.finished(1)
        there.save("hub")


#: Pictures that the stories of tests make on real clusters, which take too long to start for one picture.
STORIES = {"queue": "tests/ui/test_clusters.py", "preempted": "tests/ui/test_pods.py"}


def make_of_stories(wanted: list[str]) -> None:
    """Run the stories that show the wanted pictures. They need the folders beside the checkout that start clusters."""
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="gol-pictures-") as folder:
            command = [sys.executable, "-m", "pytest", "-q", STORIES[name]]
            subprocess.run(command, cwd=ROOT, env={**os.environ, "GENOPS_SCREENSHOTS": folder}, check=True)
            write(name, Image.open(Path(folder) / f"{name}.png").convert("RGB"))


# the places where they are made


def lay_out(home: Path) -> None:
    """Put the notebooks of the pictures into a user's folder."""
    folder = home / "work" / "digits"
    folder.mkdir(parents=True)
    (folder / "digits.py").write_text(MODULE, encoding="utf-8")
    for number, largest in ((1, "1e9"), (2, "190")):
        (folder / f"prices_{number}.py").write_text(PRICES.replace("LARGEST", largest), encoding="utf-8")
    for name, cells, kernel, title in (
        ("train", TRAIN, "genops-gpu-box", "Python 3 (gpu-box)"),
        ("deploy", DEPLOY, "python3", "Python 3 (ipykernel)"),
        ("hub", HUB_CELLS, "python3", "Python 3 (ipykernel)"),
        ("sweep", SWEEP, "python3", "Python 3 (ipykernel)"),
        ("serve", SERVE, "python3", "Python 3 (ipykernel)"),
    ):
        code = [
            {"cell_type": "code", "id": f"cell-{number}", "source": source, "metadata": {}, "outputs": [],
             "execution_count": None}
            for number, source in enumerate(cells)
        ]  # fmt: skip
        metadata = {"kernelspec": {"name": kernel, "display_name": title, "language": "python"}}
        notebook = {"cells": code, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def become(name: str) -> None:
    """Give what this process starts from now on the host name ``name`` and an own, empty ``/home/ada``.

    The folder ``venv`` there is the environment that runs this script.
    """
    new_mounts, new_names = 0x00020000, 0x04000000
    if ctypes.CDLL(None, use_errno=True).unshare(new_mounts | new_names) != 0:
        raise OSError(ctypes.get_errno(), "no namespaces of its own")
    folder = Path(os.environ[INSIDE]) / name
    folder.mkdir()
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "--bind", folder, "/home"], check=True)
    socket.sethostname(name)
    HOME.mkdir()
    (HOME / "venv").symlink_to(sys.prefix)
    without_debugger(HOME / ".ipython")


@contextmanager
def stage_of(wanted: set[str], browser: Browser) -> Iterator[Stage]:
    """A JupyterLab of the user ada, whose ssh_config names gpu-box."""
    path = f"{HOME}/venv/bin:/usr/bin:/bin"
    with ExitStack() as stack:
        become("gpu-box")
        host = Sshd(alias="gpu-box", environment={"PATH": path, "HOME": str(HOME), **USER})
        stack.enter_context(host)
        host.known_hosts.write_text("")
        become("laptop")
        (HOME / ".ssh").mkdir(mode=0o700)
        (HOME / ".ssh" / "config").write_text(host.write_config(IdentityAgent=None).read_text())
        lay_out(HOME)
        server = stack.enter_context(running_lab(Home(HOME), env=USER, python=f"{HOME}/venv/bin/python"))
        lab = stack.enter_context(lab_page(browser, server, **SIZE))
        lab.open()
        yield Stage(wanted, browser, host, server, lab)


HUB = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port_of_hub}"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "{password}"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "/home/{{username}}"
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.notebook_dir = "~/work"
c.Spawner.default_url = "/lab"
c.Spawner.args = ["--allow-root", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"]
c.Spawner.http_timeout = c.Spawner.start_timeout = 240
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{port_of_proxy}"
"""


@contextmanager
def hub_stage(stage: Stage) -> Iterator[Stage]:
    """The JupyterLab of the same user in a JupyterHub."""
    folder = HOME / "hub"
    folder.mkdir()
    port, password = free_port(), secrets.token_hex(16)
    settings = HUB.format(
        port=port, port_of_hub=free_port(), port_of_proxy=free_port(), password=password,
        python=f"{HOME}/venv/bin/python", proxy=ROOT / "node_modules" / ".bin" / "configurable-http-proxy",
    )  # fmt: skip
    (folder / "jupyterhub_config.py").write_text(settings)
    log = folder / "hub.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [f"{HOME}/venv/bin/python", "-m", "jupyterhub"], cwd=folder, stdout=output, stderr=output,
            env={**Home(HOME).environment(**USER), "PATH": f"{HOME}/venv/bin:{os.environ['PATH']}"},
        )  # fmt: skip
    server = LabServer(Home(HOME), port, "/user/ada/", process, log, password)
    try:
        with lab_page(stage.browser, server, **SIZE) as lab:
            there = Stage(stage.wanted, stage.browser, stage.host, server, lab)
            deadline = time.monotonic() + PATIENT_MS / 1000
            while True:
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(f"{server.origin}/hub/login", timeout=5),
                ):
                    break
                assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-4000:]
                time.sleep(0.2)
            there.page.goto(server.origin, timeout=PATIENT_MS)
            there.page.locator("#username_input").fill("ada")
            there.page.locator("#password_input").fill(password)
            there.page.locator("#login_submit").click()
            there.page.wait_for_url("**/user/ada/lab**", timeout=PATIENT_MS)
            lab.ready()
            yield there
    finally:
        process.kill()


def make(name: str, stage: Stage, done: set[str]) -> None:
    """Make a picture, after the one whose state it needs."""
    if name in done:
        return
    if before := MADE[name].after:
        make(before.__name__, stage, done)
    started = time.monotonic()
    try:
        MADE[name].make(stage)
    except Exception:
        print(f"{name} failed: {stage.lab.shot_of_failure(f'failed-picture-{name}')}", flush=True)
        raise
    done.add(name)
    print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)


def of_this_machine() -> list[str]:
    """Return the names of this machine, its user and its folders."""
    names = {socket.gethostname(), platform.release(), Path.home().name, str(ROOT), sys.prefix, "/tmp/gol"}
    return sorted(each for each in names if each)


def main() -> None:
    if CHROMIUM is None:
        sys.exit(WHY_NOT)
    asked = sys.argv[1:] or [*MADE, *STORIES]
    if unknown := [name for name in asked if name not in {**MADE, **STORIES}]:
        sys.exit(f"No such picture: {', '.join(unknown)}. There are {', '.join([*MADE, *STORIES])}.")
    wanted = [name for name in asked if name in MADE]
    if INSIDE not in os.environ:
        make_of_stories([name for name in asked if name in STORIES])
    if not wanted:
        return
    if INSIDE not in os.environ:
        if shutil.which("unshare") is None or os.geteuid() != 0:
            sys.exit("Linux and root are needed: pictures show a home and a host name of their own.")
        inside = ["unshare", "--fork", "--pid", "--kill-child", "--mount-proc", "--uts"]
        with tempfile.TemporaryDirectory(prefix="gol-pictures-") as folder:
            (Path(folder) / "names").write_text(json.dumps(of_this_machine()))
            ended = subprocess.run([*inside, sys.executable, *sys.argv], env={**os.environ, INSIDE: folder})
        sys.exit(ended.returncode)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, stage_of(set(wanted), browser) as stage:
        done: set[str] = set()
        for name in wanted:
            make(name, stage, done)


if __name__ == "__main__":
    main()
