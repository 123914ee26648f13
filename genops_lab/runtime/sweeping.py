"""Start ``%%sweep`` and ``%%track --repeat`` in the Lab, and show the view that follows them."""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import lab
from .display import in_notebook
from .errors import GenOpsError, LabAway
from .live import LiveView
from .opening import default_experiment
from .options import Parser, positive, track_parser
from .outer_names import outer_change
from .paths import is_remote, kernelspec_name, notebook_path
from .scopes import words
from .setup_cells import setup_cells
from .source import simple_params
from .state import runs
from .sweep_cards import interval, shown, sweep_card, sweep_text
from .trial import VARIABLE, seed_all
from .value_substitution import placed

#: Seconds after which the Lab answers even if nothing changed.
ASK_S = 20.0
#: Seconds between two answers, so that quick changes are shown together.
PAUSE_S = 0.5
#: Seconds to wait for a Lab that restarts.
AWAY_S = 900.0
AGAIN_AFTER_S = 3.0
#: Rows of a long sweep: the last trials, and the best one.
MAX_ROWS = 100
_FIELDS = (
    "id", "name", "state", "method", "metric", "direction", "planned", "best", "message", "hint", "summary",
)  # fmt: skip
_TRIAL_FIELDS = (
    "number",
    "state",
    "params",
    "value",
    "message",
    "run_id",
    "kernel_name",
    "started_at",
    "ended_at",
)
#: Runs with the same value of this tag are repeats of each other in a comparison.
TAG = "genops.repeat"
MAX_REPEATS = 1000
_NAMED = re.compile(r"[^\W\d]\w*=")


def sweep_parser() -> argparse.ArgumentParser:
    """Return the parser of ``%%sweep``; names with values are not part of it."""
    parser = Parser(
        prog="%%sweep",
        usage="%%sweep NAME=VALUES... [options]",
        description="Run the cell many times, each in a fresh kernel with other values, as MLflow runs.",
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--trials",
        type=int,
        default=0,
        metavar="N",
        help="number of trials; default: all combinations, or 20",
    )
    parser.add_argument("--metric", default="", metavar="NAME", help="the metric that judges a trial")
    parser.add_argument("--maximize", action="store_true", help="a larger value of the metric is better")
    parser.add_argument(
        "--minimize", action="store_true", help="a smaller value of the metric is better; the default"
    )
    parser.add_argument(
        "--method",
        choices=("grid", "random", "tpe"),
        default="",
        help="how values are chosen: all combinations, at random, or by Optuna from earlier trials",
    )
    parser.add_argument(
        "--objective",
        choices=("last", "best"),
        default="last",
        help="the value of the metric that judges a trial; default: %(default)s",
    )
    parser.add_argument(
        "--prune",
        choices=("median", "hyperband"),
        nargs="?",
        const="median",
        default="",
        help="interrupt bad trials early; without a value: median",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the choice of values; default: %(default)s"
    )
    add_running_options(parser)
    return parser


def add_running_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that sweeps and repeats share: where and how long trials run."""
    parser.add_argument(
        "--parallel",
        type=int,
        default=1,
        metavar="N",
        help="trials at once on each kernel or target; default: %(default)s",
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="NAME",
        help="a kernel or a target to run on; can be given several times; default: the notebook's kernel",
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        default=0.0,
        metavar="SECONDS",
        help="seconds for one trial; default: no limit",
    )
    parser.add_argument(
        "--hours", type=positive, default=0.0, metavar="HOURS", help="hours for all trials; default: no limit"
    )
    parser.add_argument(
        "--setup",
        default="needed",
        metavar="CELLS",
        help="earlier cells that run first: needed, all, none, or numbers such as 1,3-5; default: %(default)s",
    )
    parser.add_argument("--wait", action="store_true", help="wait in the cell until all trials have ended")
    if not any(action.dest == "name" for action in parser._actions):
        parser.add_argument("--name", default="", help="the sweep's name; default: the notebook's name")
        parser.add_argument(
            "--experiment", default="", help="the experiment's name; default: the notebook's name"
        )


def sweep_options(line: str) -> "Tuple[List[str], argparse.Namespace]":
    """Return the names with values, and the options. Raises GenOpsError with the usage."""
    parser = sweep_parser()
    takes = {name: action for action in parser._actions for name in action.option_strings}
    space: List[str] = []
    options: List[str] = []
    left = _joined(words(line))
    while left:
        word = left.pop(0)
        if word.startswith("--"):
            options.append(word)
            action = takes.get(word)
            value_follows = action is not None and not isinstance(action, argparse._StoreTrueAction)
            if value_follows and left and not (word == "--prune" and left[0] not in ("median", "hyperband")):
                options.append(left.pop(0))
        else:
            space.append(word)
    given = parser.parse_args(options)
    if given.maximize and given.minimize:
        raise GenOpsError("--maximize and --minimize exclude each other.", "Give one of them.")
    if not space:
        raise GenOpsError(
            "%%sweep needs a name with values to try.", "Write lr=0.1,0.01 or lr=loguniform(1e-4, 1e-1)."
        )
    return space, given


def _joined(given: List[str]) -> List[str]:
    """Join words, so that ``lr=uniform(0, 1)`` and ``n=1, 2`` are one each."""
    found: List[str] = []
    for word in given:
        last = found[-1] if found else ""
        if _NAMED.match(last) and (last.count("(") > last.count(")") or last.endswith(",")):
            found[-1] = f"{last} {word}"
        else:
            found.append(word)
    return found


def sweep(shell: Any, line: str, cell: str, failed: Dict[int, str]) -> None:
    """Start the sweep that a ``%%sweep`` cell asks for, and show it."""
    space, options = sweep_options(line)
    names = {text.partition("=")[0].strip(): 0 for text in space}
    refuse_words_for_numbers(space, simple_params(cell, shell.user_ns))
    body = {
        "space": space,
        "method": options.method,
        "metric": options.metric,
        "direction": "maximize" if options.maximize else "minimize",
        "objective": options.objective,
        "trials": options.trials,
        "seed": options.seed,
        "prune": options.prune or "",
    }
    begin(shell, cell, options, body, names, failed)


def refuse_words_for_numbers(space: List[str], own: Dict[str, Any]) -> None:
    """Raise GenOpsError for a listed value that is no number, if the cell's own value (``own``) is one."""
    for text in space:
        name, _, listed = (part.strip() for part in text.partition("="))
        is_number = isinstance(own.get(name), (int, float)) and not isinstance(own[name], bool)
        for value in (part.strip() for part in listed.split(",") if is_number and "(" not in listed):
            if value.isdigit() and len(value) > 1 and value[0] == "0":
                raise GenOpsError(
                    f"{name}={listed} has the value {value}, which begins with 0.",
                    f"Write a decimal point: {name}=0.{value}.",
                )
            if value not in ("None", "True", "False") and not _is_number(value):
                raise GenOpsError(
                    f"{name} is a number in the cell, and {value!r} is not a number.",
                    f"Separate values by commas: {name}=0.1,0.2.",
                )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def begin(
    shell: Any,
    cell: str,
    options: argparse.Namespace,
    body: Dict[str, Any],
    names: Dict[str, Any],
    failed: Dict[int, str],
    optional: Tuple[str, ...] = (),
) -> None:
    """Send a sweep or repeats to the Lab, and show them. Raises GenOpsError for names that the cell lacks."""
    if is_remote():
        raise GenOpsError(
            "A sweep starts kernels of GenOps Lab, and this kernel runs on another host, "
            f"{socket.gethostname()}.",
            "Open the notebook with a local kernel, and choose the host with --on TARGET.",
        )
    if os.environ.get(VARIABLE):
        raise GenOpsError("A trial's kernel cannot start sweeps.", "Leave this cell out with --setup.")
    placed(cell, names, shell.transform_cell, optional)
    setup = setup_cells(shell, options.setup, failed, cell, list(names))
    sent = {
        **body,
        "code": cell,
        "setup": [one._asdict() for one in setup.cells],
        "name": options.name,
        "experiment": options.experiment or default_experiment(),
        "parallel": options.parallel,
        "on": options.on,
        "timeout_s": options.timeout,
        "hours": options.hours,
        "kernel_name": kernelspec_name(),
        "notebook": notebook_path(),
        "cwd": os.getcwd(),
    }
    begun = lab.call("POST", "/sweeps", sent, timeout_s=60)
    try:
        print(f"Sweep {begun['id']}: {begun['planned']} trials. {setup.summary()}")
        view = SweepView(begun)
        view.open()
        if options.wait:
            view.wait()
    except KeyboardInterrupt:
        print(
            f"GenOps: the sweep {begun['id']} continues. To stop it, run `%genops sweeps stop {begun['id']}`.",
            file=sys.stderr,
        )
        raise


def shown_state(sweep: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the state that the sweep view shows."""
    trials: List[Dict[str, Any]] = [
        {name: trial.get(name) for name in _TRIAL_FIELDS} for trial in sweep["trials"]
    ]
    rows = trials[-MAX_ROWS:]
    best = sweep.get("best")
    if best is not None and all(trial["number"] != best for trial in rows):
        rows = [trial for trial in trials if trial["number"] == best] + rows
    return {
        **{name: sweep.get(name) for name in _FIELDS},
        "trials": rows,
        "counts": dict(Counter(trial["state"] for trial in trials)),
        "series": _series(trials, str(sweep.get("metric") or ""), str(sweep.get("direction"))),
    }


def _series(trials: List[Dict[str, Any]], metric: str, direction: str) -> Dict[str, Any]:
    if not metric:
        return {}
    points = [
        (t["number"], t["value"]) for t in trials if t["state"] == "finished" and t["value"] is not None
    ]
    better = min if direction == "minimize" else max
    best: List[float] = []
    for _, value in points:
        best.append(value if not best else better(best[-1], value))
    steps = [number for number, _ in points]
    return {
        metric: {"steps": steps, "values": [v for _, v in points]},
        "best so far": {"steps": steps, "values": best},
    }


class SweepView:
    """Follows a sweep in the output of the executing cell until the sweep ends; in a terminal it prints text."""

    def __init__(self, sweep: Dict[str, Any]) -> None:
        self._sweep = sweep
        self._ended = threading.Event()
        self._view: Optional[LiveView] = None
        if in_notebook():
            self._view = LiveView("sweep", shown_state(sweep), sweep_card, sweep_text, self._asked)
        self._thread = threading.Thread(target=self._follow, name="genops-sweep", daemon=True)

    def open(self) -> None:
        """Show the view and begin to follow."""
        if self._view is not None:
            self._view.open()
        self._thread.start()

    def wait(self) -> None:
        """Wait until the sweep has ended; in a terminal, print its result."""
        # Short waits, because on some platforms Python handles an interrupt only between waits.
        while not self._ended.wait(1.0):
            continue
        if self._view is None:
            print(sweep_text(shown_state(self._sweep)))

    def _asked(self, content: Any) -> None:
        if content == {"do": "stop"}:
            threading.Thread(target=self._stop, name="genops-sweep-stop", daemon=True).start()

    def _stop(self) -> None:
        try:
            lab.call("POST", f"/sweeps/{lab.segment(self._sweep['id'])}/stop", timeout_s=20)
        except GenOpsError as error:
            self._show({**self._sweep, "message": str(error)})

    def _follow(self) -> None:
        answered_at = time.monotonic()
        path = "/sweeps/" + lab.segment(self._sweep["id"])
        try:
            while self._sweep["ended_at"] is None:
                query = {"after": self._sweep["version"], "wait_s": ASK_S}
                try:
                    found = lab.call("GET", path, query=query, timeout_s=ASK_S + 30)
                except LabAway as error:
                    if time.monotonic() - answered_at > AWAY_S:
                        self._sweep = {**self._sweep, "message": str(error)}
                        break
                    time.sleep(AGAIN_AFTER_S)
                    continue
                except GenOpsError as error:
                    self._sweep = {**self._sweep, "message": str(error)}
                    break
                answered_at = time.monotonic()
                self._show(found)
                time.sleep(PAUSE_S)
            if self._view is not None:
                self._view.finish(shown_state(self._sweep), close=False)
        finally:
            self._ended.set()

    def _show(self, sweep: Dict[str, Any]) -> None:
        self._sweep = sweep
        if self._view is not None:
            self._view.update(shown_state(sweep))


def repeat_options(line: str) -> Tuple[List[int], argparse.Namespace]:
    """Return the seeds and the options. Raises GenOpsError with the usage."""
    parser = track_parser()
    parser.add_argument("--repeat", type=int, default=0, metavar="N", help="number of repeats")
    parser.add_argument(
        "--seeds", default="", metavar="1,2,3", help="a seed for each repeat; default: 1 to N"
    )
    parser.add_argument(
        "--here", action="store_true", help="run the repeats in this kernel, one after the other"
    )
    add_running_options(parser)
    options = parser.parse_args(words(line))
    try:
        seeds = [int(part) for part in options.seeds.split(",")] if options.seeds else []
    except ValueError:
        raise GenOpsError(
            f"--seeds {options.seeds} is not a list of whole numbers.", "Write --seeds 1,2,3."
        ) from None
    count = options.repeat or len(seeds)
    seeds = seeds or list(range(1, count + 1))
    if options.resume or options.nested:
        raise GenOpsError(
            "A repeat cannot continue a run or be the child of one.", "Leave out --resume and --nested."
        )
    if not 2 <= count <= MAX_REPEATS:
        raise GenOpsError(
            f"An interval needs 2 to {MAX_REPEATS} repeats, not {count}.",
            "Change --repeat or --seeds.",
        )
    if len(seeds) != count or len(set(seeds)) != count or min(seeds) < 0:
        raise GenOpsError(
            f"--repeat {count} and --seeds {options.seeds} do not match.",
            "Give each repeat its own seed of 0 or more.",
        )
    return seeds, options


def repeat(shell: Any, line: str, cell: str, failed: Dict[int, str]) -> None:
    """Run the repeats that a cell asks for: in fresh kernels, or with ``--here`` in this kernel."""
    seeds, options = repeat_options(line)
    if options.here:
        _here(shell, line, cell, seeds, options)
        return
    body = {
        "space": ["seed=" + ",".join(str(seed) for seed in seeds)],
        "method": "repeat",
        "tags": dict(options.tag),
        "params": dict(options.param),
        "track": {
            "source": not options.no_source,
            "output": not options.no_output,
            "system_metrics": not options.no_system,
            "auto": not options.no_auto,
            "autolog": options.autolog or options.log_models,
            "log_models": options.log_models,
        },
    }
    begin(shell, cell, options, body, {"seed": 0}, failed, optional=("seed",))


def _here(shell: Any, line: str, cell: str, seeds: List[int], options: argparse.Namespace) -> None:
    code = placed(cell, {"seed": seeds[0]}, shell.transform_cell, ("seed",))
    found = outer_change(shell.transform_cell(code.cell), shell.user_ns)
    if found is not None:
        raise GenOpsError(
            f"Line {found.line} of the cell {found.how}: {found.name} was made outside the cell, so each repeat would "
            "begin where the last one ended.",
            f"Make {found.name} in the cell, or remove --here: then each repeat has a fresh kernel.",
        )
    key = uuid.uuid4().hex[:8]
    track = " ".join(shlex.quote(word) for word in _track_words(words(line)))
    ids: List[str] = []
    state = random.getstate()
    try:
        for seed in seeds:
            put = placed(cell, {"seed": seed}, shell.transform_cell, ("seed",))
            if put.before:
                shell.user_ns["seed"] = seed
            forget = seed_all(seed)
            top = f"%%track {track} --tag {TAG}={key} --param seed={seed}"
            try:
                shell.run_cell(f"{top}\n{put.cell}").raise_error()
            finally:
                forget()
            if runs.last is not None and runs.last.run_id:
                ids.append(runs.last.run_id)
    finally:
        random.setstate(state)
    print(spread(ids))


def spread(run_ids: List[str]) -> str:
    """Return the mean and 95 % interval of each metric over runs, from the Lab's comparison."""
    if len(run_ids) < 2:
        return "GenOps: the Lab has not taken the runs yet. Compare them in the GenOps panel."
    found = lab.call("POST", "/sweeps/summary", {"run_ids": run_ids}, timeout_s=60)
    lines = [f"{len(run_ids)} repeats:"]
    for one in found:
        within = interval(one) if one["low"] is None else f"95 % interval {interval(one)}"
        lines.append(f"  {one['metric']}: mean {shown(one['mean'])}, {within}")
    return "\n".join(lines)


def _track_words(given: List[str]) -> List[str]:
    """Return the words that ``%%track`` itself takes."""
    own = {option: action for action in track_parser()._actions for option in action.option_strings}
    kept: List[str] = []
    left = list(given)
    while left:
        word = left.pop(0)
        takes = not isinstance(own.get(word), argparse._StoreTrueAction) and word not in ("--here", "--wait")
        value = [left.pop(0)] if takes and left else []
        if word in own:
            kept += [word, *value]
    return kept
