"""``python -m benchmarks.table FILE...``: write the lines of ``make bench`` into the pages of ``docs/figures``.

A row stays, with its day, until its figure is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "docs" / "figures"

_KNOWN = {"figure", "unit", "median", "min", "max", "n", "target", "baseline"}
_DAY = re.compile(r"\| \d{4}-\d\d-\d\d \|$")
_HEAD = """# {title}

{what}

`python -m benchmarks.table` makes this page. The last measurement was on {day}, on a machine with {cores} cores
({machine}, Python {python}). [Figures](../figures.md) says how to read the table.

| figure | measured | wanted | baseline | more | day |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Sheet:
    """A page of figures: those whose names begin with one of ``begins``, if no sheet before has them."""

    name: str
    title: str
    what: str
    begins: tuple[str, ...] = ("",)


SHEETS = (
    Sheet(
        "messages",
        "Messages of remote kernels",
        """Times of one kernel behind a real sshd on loopback, through `jupyter_client`. The carriers of GenOps Lab are
paramiko and openssh. The baselines are a local kernel and sshpyk. Proxies add delays of 20 ms and 100 ms.

- `pass`: from the cell `pass` to its reply, after a pause. `round trip`: the delay as the proxy makes it.
- `interrupt`: from the interrupt of a busy cell to its reply; `printing`: while the cell prints some 100 MB.
- `stdout 100 mb`: 100 MB of standard output, all of it read.
- `loop blocked`: the longest time without an answer of an event loop while 100 MB go to a client.""",
        ("pass ", "interrupt ", "stdout ", "loop ", "round trip "),
    ),
    Sheet(
        "starts",
        "Starts of kernels and readings of hosts",
        """Times behind a real sshd on loopback, with delays of 0, 20 and 100 ms. The baselines are a local kernel and
sshpyk.

- `start`: from nothing to the first reply, over an open connection. `first connection`: with the login.
- `start ahead`: the same with a warm kernel.
- `hosts`: readings of 50 targets, each with a connection and an agent of its own, all on one sshd.""",
        ("start ", "first connection ", "hosts "),
    ),
    Sheet(
        "output",
        "Output through cuts",
        """Lines of cells while connections, processes and the Lab are cut, through a real sshd.

- `cut`: lines that a client misses. `silence`: the time until lines flow again.
- `websocket` and `document`: lines that a page and the notebook on disk miss.
- `stalled reader`: 100,000 outputs to a reader that sleeps for 5 s first.
- `lines kept`: lines after a reload of the page or a kill of the server, in Chromium. `stock` is JupyterLab
  alone, `nbmodel` is jupyter-server-nbmodel.""",
        ("stalled ", "silence ", "cut ", "lines kept ", "websocket ", "document "),
    ),
    Sheet(
        "compute",
        "Kernels in pods and Slurm jobs",
        """A real Kubernetes of one node and a real Slurm of two, on the machine that measures, with the image and this
machine's Python on the node. The baseline is gateway-provisioners on the same cluster, with its launcher in the image.

- `start`: from nothing to the first reply, in phases. `first start`: with the client's process and the login.
- `agent call`: a call to the agent of the host. `stdout 100 mb`: 100 MB of standard output, all of it read.
- `warm start`: from the start of a kernel on a pod or job that was kept ready to its first reply.
- `interrupt taken`: until the host has taken the interrupt of a cell that prints 100 MB.
- `interrupt printing`: until the reply of that cell, which comes behind all that the cell had printed.
- `output after an api restart`: the API server is killed and started; from its `/readyz` to the next line.
- `end shown`: from the end of a kernel's container, as the API has it, to the state of the kernel in the Lab.
- `deletion shown`: from the API's answer to the deletion of a pod, with 5 s for its containers, to its end in the Lab.
- `waiting`: pods or jobs that no node can take, each with a kernel that waits. CPU is that of the Lab's side.
- `lines while away`: lines that are missing when nobody is connected for 3 s.
- `fault`: numbers that are lost while a cell counts, over cuts of one kind, beside other work on the machine.""",
        ("pod ", "pods ", "slurm ", "fault ", "gateway provisioners "),
    ),
    Sheet(
        "profiles",
        "Profiles",
        """A trace to all its sums, from the start of the process. The baseline is HolisticTraceAnalysis on the same
files. The traces are 216,092 real events of a V100, and the same trace again and again in files of 1.08 and 5.2 million
events.

- `off by`: the difference between sums and the true values of seven traces.
- `capture`: steps of training with `%%profile` and without it, by turns.
- `summary`: from the end of a cell to its summary.""",
        ("profile ",),
    ),
    Sheet(
        "models",
        "Models",
        """Versions of registered models, their lineage and signatures. The baselines are MLflow's own client on the
same store.

- `first rows`: until the table of versions has its first 100 rows.
- `first picture`: of the lineage of a data set, in its own process.""",
        (
            "first rows of 10,000 versions", "newest: ", "sort: ", "query: ", "an alias ", "signature ",
            "first picture ",
        ),
    ),
    Sheet(
        "deployments",
        "Deployments",
        """The gateway and the scoring process. The gateway checks keys and limits. aiohttp passes on without a check.
HAProxy compares a key.

- `gateway added p50`: what the gateway adds to the median time of a small request.
- `gateway failed requests`: over changes of weights, killed scoring processes and ways back.""",
        ("gateway ", "serving ", "scorer ", "rollout ", "llm ", "language model ", "one row "),
    ),
    Sheet(
        "tracking",
        "Runs, queries and charts",
        """The run table beside `MlflowClient.search_runs` on the same stores, queries of runs in memory, and charts.
The stores have MLflow's own schema.""",
        (
            "a query ", "charts ", "first rows ", "sort ", "filter ", "all of ", "a change ", "memory of ",
            "100,000 runs ", "run table ", "metric shown",
        ),
    ),
    Sheet(
        "statistics",
        "Statistics",
        """Fairness by group beside Fairlearn, on the same arrays, and tests of 5,000 paired examples.

- `fairness`: rows counted by group, then the differences of demographic parity and equalized odds.
- `off by`: the largest difference from Fairlearn's values.""",
        ("statistics ",),
    ),
    Sheet(
        "redaction",
        "Redaction",
        """Secrets and personal data searched in Python code, in spans of conversations, and in lists of packages' files
with their hashes. The searched files have none: each touched line is an error.

- `with presidio`: the same spans, with names of people and places by Presidio.""",
        ("redaction ",),
    ),
    Sheet(
        "traces",
        "Traces of generative models",
        """A table of 100,000 traces of four spans in MLflow's SQLite file, beside MLflow's own search in the same file.

- `first rows`: the process that answers is there and knows nothing of the file.
- `all read`: the process has read all traces.
- `new trace`: from the commit of another program to an answer that has it.
- `page`: in Chromium, from a command, a key or a jump of the scroll bar to the frame that shows its result.""",
        ("traces",),
    ),
    Sheet(
        "evaluations",
        "Evaluations of answers",
        """1,000 examples against an endpoint that answers after 50 ms, 8 at once: the floor is 6.25 s. CPU is that of
all processes.

- `lab`: from the request to a running Lab until the report is there, with a trace for each answer in MLflow.
- `lab first`: the first evaluation of a Lab, which starts the processes of evaluations and of MLflow.
- `cold`: `genops evaluate` without a Lab, from the start of Python on, beside the other programs, which start so too.
- `faults accounted`: answers and failures by kind, of 1,000 calls: 3 % errors, 1 % that hang, a storm of 429.""",
        ("evaluations ",),
    ),
    Sheet(
        "server",
        "Server and front end",
        "The cost of the extension for the start of JupyterLab's server and for a page.",
    ),
)  # fmt: skip


def update(lines: Iterable[str], day: str, folder: Path = FOLDER) -> None:
    """Write new figures into the pages of ``folder``; a page without a new figure stays as it is."""
    found: dict[Sheet, list[str]] = {}
    for line in lines:
        if line.startswith("{"):
            found.setdefault(sheet_of(_name(json.loads(line))), []).append(line)
    for sheet, own in found.items():
        path = folder / f"{sheet.name}.md"
        earlier = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(page(own, day, earlier, sheet), encoding="utf-8")


def sheet_of(name: str) -> Sheet:
    """Return the page of a figure."""
    return next(sheet for sheet in SHEETS if name.startswith(sheet.begins))


def page(lines: Iterable[str], day: str, earlier: str = "", sheet: Sheet = SHEETS[-1]) -> str:
    """Return the Markdown of a page. A newer figure replaces the row of ``earlier``, the page before."""
    rows = _rows_of(earlier)
    for line in lines:
        if line.startswith("{"):
            figure = json.loads(line)
            rows[_name(figure)] = _row(figure, day)
    head = _HEAD.format(
        title=sheet.title, what=sheet.what, day=day, cores=os.cpu_count(), machine=platform.machine(),
        python=platform.python_version(),
    )  # fmt: skip
    return head + "".join(rows.values())


def _rows_of(page_before: str) -> dict[str, str]:
    """Rows by name, each with its day: the page's own where they have none yet."""
    day = re.search(r"\b\d{4}-\d\d-\d\d\b", page_before)
    rows: dict[str, str] = {}
    for line in page_before.splitlines():
        cells = line.strip("| ").split(" | ") if line.startswith("| ") else []
        if len(cells) < 2 or cells[0] == "figure":
            continue
        if not _DAY.search(line) and day is not None:
            line += f" {day[0]} |"
        rows[cells[0]] = line + "\n"
    return rows


def _name(figure: dict[str, Any]) -> str:
    return str(figure["figure"]).replace("_", " ")


def _row(figure: dict[str, Any], day: str) -> str:
    unit, target, baseline = str(figure["unit"]), figure.get("target"), figure.get("baseline")
    more = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in figure.items() if key not in _KNOWN)
    cells = (
        _name(figure),
        _values(figure, unit),
        "" if target is None else f"{_number(target)} {unit}",
        f"{baseline['what']}: {_values(baseline, unit)}" if baseline else "",
        more,
        day,
    )
    return "| " + " | ".join(cells) + " |\n"


def _values(spread: dict[str, Any], unit: str) -> str:
    median = f"{_number(spread['median'])} {unit}"
    if spread["n"] == 1:
        return median
    return f"{median} ({_number(spread['min'])} to {_number(spread['max'])}, {spread['n']} times)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path)
    files = parser.parse_args().files
    newest = max(each.stat().st_mtime for each in files)
    text = [line for each in files for line in each.read_text(encoding="utf-8").splitlines()]
    update(text, time.strftime("%Y-%m-%d", time.localtime(newest)))


if __name__ == "__main__":
    main()
