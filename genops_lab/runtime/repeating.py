"""``%%track --repeat 5``: the cell several times, each with a seed of its own, for what the spread is."""

from __future__ import annotations

import argparse
import random
import shlex
import uuid
from typing import Any, Dict, List, Tuple

from . import lab
from .errors import GenOpsError
from .options import track_parser
from .outer_names import outer_change
from .scopes import words
from .state import runs
from .sweep_cards import interval, shown
from .sweeping import add_running_options, begin
from .trial import seed_all
from .value_substitution import placed

#: The comparison takes runs with the same value for repeats of each other.
TAG = "genops.repeat"
MAX_REPEATS = 1000


def repeat_options(line: str) -> Tuple[List[int], argparse.Namespace]:
    """The seeds and the options. Raises GenOpsError with the usage."""
    parser = track_parser()
    parser.add_argument("--repeat", type=int, default=0)
    parser.add_argument("--seeds", default="")
    parser.add_argument("--here", action="store_true", help="in this kernel, one after the other")
    add_running_options(parser)
    options = parser.parse_args(words(line))
    try:
        seeds = [int(part) for part in options.seeds.split(",")] if options.seeds else []
    except ValueError:
        raise GenOpsError(f"--seeds {options.seeds} are no whole numbers.", "Write --seeds 1,2,3.") from None
    count = options.repeat or len(seeds)
    seeds = seeds or list(range(1, count + 1))
    if options.resume or options.nested:
        raise GenOpsError("Repeats are runs of their own.", "Leave out --resume and --nested.")
    if not 2 <= count <= MAX_REPEATS:
        raise GenOpsError(f"{count} repeats say nothing of a spread.", f"Take 2 to {MAX_REPEATS}.")
    if len(seeds) != count or len(set(seeds)) != count or min(seeds) < 0:
        raise GenOpsError(
            f"--repeat {count} and --seeds {options.seeds} do not fit.",
            "Give each repeat a seed of its own, from 0 on.",
        )
    return seeds, options


def repeat(shell: Any, line: str, cell: str, failed: Dict[int, str]) -> None:
    """Run the repeats that a cell asks for: in fresh kernels, or with ``--here`` in this one."""
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
            f"Line {found.line} of the cell {found.how}: {found.name} was made outside of it, so each repeat would "
            "begin where the one before ended.",
            f"Make {found.name} in the cell, or leave out --here: then each repeat has a fresh kernel.",
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
    """Mean and 95 % interval of each metric over runs, as the Lab's comparison has them."""
    if len(run_ids) < 2:
        return "GenOps: the Lab has not taken the runs yet; compare them in the panel."
    found = lab.call("POST", "/sweeps/summary", {"run_ids": run_ids}, timeout_s=60)
    lines = [f"{len(run_ids)} repeats:"]
    for one in found:
        within = interval(one) if one["low"] is None else f"95 % interval {interval(one)}"
        lines.append(f"  {one['metric']}: mean {shown(one['mean'])}, {within}")
    return "\n".join(lines)


def _track_words(given: List[str]) -> List[str]:
    """The words that ``%%track`` itself takes."""
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
