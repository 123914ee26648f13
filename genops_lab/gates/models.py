"""Wire types of gates: the verdict on a version. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

#: Only ``pass`` is green. ``not_enough_data`` says how many examples are needed where that is known.
Verdict = Literal["pass", "fail", "not_enough_data", "cannot_be_checked"]

#: What a version's tag ``genops.gates`` says, by the field ``verdict``.
WORDS: dict[Verdict, str] = {
    "pass": "Pass",
    "fail": "Fail",
    "not_enough_data": "Not enough data",
    "cannot_be_checked": "Cannot be checked",
}


class SliceVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one group, or on one of several metrics.

    ``low`` to ``high`` is the interval; ``bound``: what the rule asks for.
    """

    name: str
    verdict: Verdict
    clause: str = ""
    n: int = 0
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    p: float | None = None
    more: int | None = None


class RuleVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one rule.

    - clause: what was found, such as "accuracy is 0.8 points higher, within chance"; detail: the interval, the bound
      and what would change the verdict, as sentences.
    - estimate, low, high: the value or the difference (candidate less champion) with its interval at ``confidence``;
      bound: what the rule asks for. Rates are shares of 1.
    - more: how many more examples would probably show it. n: the rows that were used; left_out: rows without a label.
    - cluster: the group whose rows depend on each other, clusters: how many of them; ``more`` counts clusters then.
    - alpha: the risk of a false pass that this look may take.
    - too_small: groups of fewer rows than the rule asks for.
    - examples: ids of rows that the candidate made worse, at most 20.
    - chosen_by: how the data also chose this version; empty if it did not.
    """

    name: str
    rule: str
    verdict: Verdict
    clause: str
    detail: str = ""
    data: str = ""
    metric: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    confidence: float | None = None
    bound: float | None = None
    n: int = 0
    left_out: int = 0
    p: float | None = None
    alpha: float | None = None
    more: int | None = None
    method: str = ""
    slices: list[SliceVerdict] = []
    cluster: str = ""
    clusters: int = 0
    too_small: list[str] = []
    examples: list[str] = []
    chosen_by: str = ""


class JudgedData(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluation data of a verdict, with the evaluation runs of both versions. ``look``: the how manieth look."""

    name: str
    digest: str = ""
    run: str = ""
    against_run: str = ""
    rows: int = 0
    look: int = 1


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a version by a gate file.

    - headline: the verdict and what caused it, in one line. notes: what else a reader must know.
    - against: the version that it was compared with; empty without one.
    - file: the path of the gate file, hash: git's hash of its content, hash_before: the hash at the start of the
      version's run, empty if it is unknown.
    - run: the run that keeps this report; empty if none does.
    - picture: the intervals of the rules as an SVG document; empty if no rule has one. The run keeps it as a file.
    """

    model: str
    version: str
    verdict: Verdict
    headline: str
    rules: list[RuleVerdict]
    against: str = ""
    alias: str = ""
    file: str = ""
    hash: str = ""
    hash_before: str = ""
    commit: str = ""
    notes: list[str] = []
    data: list[JudgedData] = []
    looks: int = 1
    at: float = 0.0
    run: str = ""
    program: str = ""
    picture: str = ""


class Approver(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who approves, and how that is known: "JupyterHub", "MLflow login", "signed commit", "CI job"."""

    name: str
    how: str


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a command of a gate file.

    ``said``: what it says as JSON on its output, at most 500 characters. ``problem``: why there is no exit code.
    """

    exit_code: int = 0
    said: str = ""
    problem: str = ""


class CheckGates(msgspec.Struct, frozen=True, kw_only=True):
    """Judge a version by the text of a gate file.

    ``file`` is the path of the file for reports, ``folder`` the absolute folder in which it and its keys lie (empty:
    unknown). ``commit``: the commit that is checked out. ``commands``: the results of the file's commands, in their
    order, from the command line.
    """

    text: str
    file: str = "gates.yaml"
    folder: str = ""
    commit: str = ""
    commands: list[CommandResult] = []


class PromoteVersion(CheckGates, frozen=True, kw_only=True):
    """Judge a version, and point ``alias`` at it if the verdict is a pass. ``reason``: at most 1,000 characters."""

    alias: str = "champion"
    reason: str = ""


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict, and whether the alias moved. ``already``: the alias named the version before."""

    report: GateReport | None
    moved: bool
    already: bool = False
