"""Each page, section and dialog of the front end is looked at by a test of ``tests/ui``: axe and the contrast of both
themes (``lab.looks``). Who adds a view adds its look here."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What makes a view. Dialogs of JupyterLab with a text or one input look alike: one of each is enough.
MAKERS = {
    "page": r"new MainAreaWidget\b|\bopenBelow\(app|addWidgetFactory\(|"
    r"new Pages\b(?!\(app, \{ namespace, command)|\bpagesOf\(",
    "section": r"\bpanel\.addSection\(\{",
    "dialog": r"\bawait openForm\(\{|return openForm\(\{|return openPlaceDialog\(\{|new ModelDialog\(\{|new Dialog\(\{",
    "popup": r"class \w*Popup extends",
}

#: Where each view is made, and the looks at it: the test file and the look's name (or its part in quotes).
VIEWS = {
    ("core/pages.ts", "page"): ["sweeps sweeps"],  # what `new Pages` opens
    ("core/ui/main-area.ts", "page"): ["panel_actions task-log"],  # openBelow
    ("deployments/commands.tsx", "page"): ["playground playground"],
    ("deployments/opening-forms.tsx", "dialog"): ["panel_actions deploy", "panel_actions apply-file"],
    ("deployments/plugin.tsx", "section"): ["panel_actions full"],
    ("doctor/commands.ts", "page"): ["panel_actions diagnosis"],
    ("evaluations/open.tsx", "dialog"): ["evaluations evaluate"],
    ("experiments/charts/plugin.ts", "page"): ["charts charts"],
    ("experiments/comparison/opening.ts", "page"): ["comparing comparison"],
    ("experiments/plugin.tsx", "section"): ["panel_actions full"],
    ("experiments/table/plugin.ts", "page"): ["run_table run-table"],
    ("experiments/table/tag-form.tsx", "dialog"): ["run_table tag"],
    ("gates/view/version-gates.tsx", "dialog"): ["gates promote-red"],
    ("genai/endpoints/add-dialog.tsx", "dialog"): ["endpoints endpoints-add"],
    ("genai/evaluations/begin.tsx", "dialog"): [
        "begin_evaluations evaluate-file",
        "begin_evaluations new-evaluation",
    ],
    ("genai/evaluations/score-dialog.tsx", "dialog"): ["answers answers-score"],
    ("genai/labels/begin-dialog.tsx", "dialog"): ["labels labels-begin"],
    ("genai/labels/mode-dialog.tsx", "dialog"): ["labels labels-mode"],
    ("genai/plugin.tsx", "page"): ["endpoints endpoints"],
    ("genai/plugin.tsx", "section"): ["panel_actions full"],
    ("genai/prompts/page.tsx", "dialog"): ["prompts prompts-alias"],
    ("hosts/kernel-actions.ts", "page"): ["targets kernel-log"],
    ("hosts/open-port.tsx", "dialog"): ["targets open-port"],
    ("hosts/view/add-dialog.tsx", "dialog"): ["targets add"],
    ("hosts/view/notebook-popup.tsx", "popup"): ["targets targets-disconnected"],
    ("hosts/view/picker-dialog.tsx", "dialog"): ["targets picker"],
    ("hosts/view/place-dialog.tsx", "dialog"): ["targets picker"],
    ("hosts/view/pull-dialog.tsx", "dialog"): ["targets pull"],
    ("hosts/view/question-dialog.tsx", "dialog"): ["targets passphrase"],
    ("hosts/view/request-dialog.tsx", "dialog"): ["target_settings targets-request"],
    ("hosts/view/restart-dialog.tsx", "dialog"): ["target_settings run-in-ended"],
    ("hosts/view/settings-dialog.tsx", "dialog"): ["target_settings settings"],
    ("hosts/view/storage-dialog.tsx", "dialog"): ["environments free-space"],
    ("kernels/outputs/full/commands.ts", "page"): ["long_outputs full-output"],
    ("kernels/plugin.tsx", "section"): ["panel_actions full"],
    ("panel/notebook/plugin.tsx", "section"): ["panel_actions full"],
    ("profiling/commands.ts", "page"): ["profiles profiles"],
    ("profiling/main/open.ts", "page"): ["profile_flame flame-zoomed"],
    ("profiling/perfetto/open.ts", "page"): ["profile_perfetto perfetto-slice"],
    ("profiling/timeline/files.ts", "page"): ["profile_timeline timeline-flow"],
    ("profiling/timeline/plugin.ts", "page"): ["profile_ranks ranks-tied"],
    ("registry/commands.tsx", "dialog"): ["panel_actions register", "panel_actions alias"],
    ("registry/commands.tsx", "page"): [
        "versions versions",
        "alias_history alias-history",
        "lineage lineage",
        "model_card model-card",
    ],
    ("registry/plugin.tsx", "section"): ["panel_actions full"],
    ("sweeps/plugin.ts", "page"): ["sweeps sweeps", "sweeps sweep-page"],
    ("tasks/commands.ts", "page"): ["panel_actions task-log"],
    ("tasks/plugin.tsx", "section"): ["panel_actions full"],
}

#: Views and states that another view makes.
STATES = [
    "answers answers",
    "answers answers-result",
    "begin_evaluations evaluate-on-target",
    "traces session",
    "prompts prompts-data-set",
    "prompts prompts-optimize-cost",
    "prompts prompts-optimized",
    "prompts prompts-rows",
    "prompts prompts-rows-cost",
    "traces trace",
    "traces traces",
    "traces traces-compared",
    "traces traces-empty",
    "labels labels",
    "labels labels-results",
    "labels labels-failures",
    "labels labels-pairs",
    "labels labels-scorer",
    "bad_days mlflow-down",
    "bad_days run-table-nothing-new",
    "charts charts-add",
    "answers answers-result",
    "prompts prompts-rows",
    "prompts prompts-rows-cost",
    "answers answers",
    "comparing comparison-artifacts",
    "comparing comparison-code",
    "evaluations evaluations",
    "panel_actions evaluate-trust",
    "lineage lineage-group",
    "gates version-gates",
    "media media-comparison",
    "media media-panel",
    "model_card model-card-writing",
    "nsight nsight-dialog",
    "nsight_compute nsight-compute-dialog",
    "panel_actions choice",  # `choose` and `titled`
    "panel_actions confirmation",  # `confirm` and `showDialog`
    "panel_actions register-files",
    "profile_memory oom",
    "profiles profile-gutter",
    "run_profiles run-profiles-difference",
    "run_table run-groups",
    "run_table run-table-columns",
    "run_table run-table-detail",
    "sweeps sweep",
    "targets cards",
    "targets failed",
    "targets host-key",
    "targets none",
    "tracked_runs card-reloaded",
    "versions versions-compared",
    "versions versions-detail",
]


def made() -> Counter[tuple[str, str]]:
    """How often each file of ``src`` makes each kind of view."""
    found: Counter[tuple[str, str]] = Counter()
    for path in (ROOT / "src").rglob("*.ts*"):
        if "__tests__" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for kind, maker in MAKERS.items():
            if number := len(re.findall(maker, text)):
                found[path.relative_to(ROOT / "src").as_posix(), kind] = number
    return found


def looks() -> set[str]:
    """The looks of ``tests/ui``, such as ``targets add``."""
    found = set()
    for path in (ROOT / "tests" / "ui").glob("test_*.py"):
        module = path.stem.removeprefix("test_")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if "look" in name:
                    found |= {
                        f"{module} {given.value}"
                        for given in node.args
                        if isinstance(given, ast.Constant) and isinstance(given.value, str)
                    }
    return found


def test_each_view_has_its_look() -> None:
    there = made()
    named = {key: len(names) for key, names in VIEWS.items()}
    assert there.keys() - named.keys() == set(), "a view without a look: add one in tests/ui, and here"
    assert named.keys() - there.keys() == set(), "no such view is made any more: take it away here"
    # Profiles and their comparison are made in one place.
    assert {key for key in there if there[key] != named[key]} == set()


def test_each_look_is_taken() -> None:
    named = {look for names in VIEWS.values() for look in names} | set(STATES)
    assert named - looks() == set()
