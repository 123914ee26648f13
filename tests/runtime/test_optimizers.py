"""Step time, learning rate and gradient norm of torch's own optimizers, in scripts with real torch."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.homes import Home

from .forked import ForkServer
from .stand_in import LabStandIn, kinds, own_metrics
from .test_script import finish, start

pytestmark = pytest.mark.slow

MODEL = """
import torch
torch.manual_seed(0)
torch.set_num_threads(1)
model = torch.nn.Linear(4, 1)
data = torch.randn(8, 4)
def backward():
    model.zero_grad()
    loss = model(data).square().mean()
    loss.backward()
    return loss
"""


def logged(home: Home, lab: LabStandIn, code: str, torches: ForkServer | None = None) -> list[dict[str, Any]]:
    """What a script's runs log unasked, and what it printed last. Without ``torches`` it imports PyTorch itself."""
    if torches is None:
        process = start(home, code, GENOPS_SOCKET=str(lab.path))
        out, err = finish(process)
        status = process.returncode
    else:
        script = home.work / "train.py"
        script.write_text(code, encoding="utf-8")
        ended = torches.run(script, home.environment(GENOPS_SOCKET=str(lab.path)))
        out, err, status = ended.out, ended.err, ended.code
    assert status == 0, err
    assert "stopped logging optimizer metrics" not in err
    printed = {"values": {"printed": float(out.split()[-1])}} if out.split() else {"values": {}}
    return [*own_metrics(lab.runs()[-1]), printed]


def series(points: list[dict[str, Any]], key: str) -> list[float]:
    return [float(point["values"][key]) for point in points if key in point["values"]]


#: As a trial of repeats is seeded before its cell.
SEEDED = """
from genops_lab.runtime.trial import seed_all
seed_all(7)
import torch
assert torch.initial_seed() == 7
"""

LOOP = """
for step in range(50):
    backward()
    optimizer.step()
    scheduler.step()
    if step == 0:
        print(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]).item())
genops.end()
"""
MADE = """
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
"""


@pytest.mark.parametrize(
    "code",
    [
        MODEL + MADE + "import genops\ngenops.start('r')" + LOOP,
        "import genops, sys\ngenops.start('r')\nassert 'torch' not in sys.modules"
        + SEEDED
        + MODEL
        + MADE
        + LOOP,
        MODEL + MADE + "import genops\ngenops.log({'a': 1})" + LOOP,
    ],
)
def test_a_plain_loop_tells_its_optimizer(
    home: Home, lab: LabStandIn, torches: ForkServer, code: str
) -> None:
    comes_later = "'torch' not in sys.modules" in code
    points = logged(home, lab, code, None if comes_later else torches)
    rates, norms = series(points, "train/learning_rate"), series(points, "train/gradient_norm")
    assert rates[0] == 0.5 and len(rates) == len(norms) >= 1
    assert math.isclose(norms[0], series(points, "printed")[0], rel_tol=1e-5)
    steps = [point["step"] for point in points if "train/learning_rate" in point["values"]]
    assert steps == sorted(set(steps)) and steps[0] == 0 and steps[-1] < 50
    assert rates == [0.5 * 0.5**step for step in steps]
    assert all(value > 0 for value in series(points, "train/step_time_ms"))
    assert kinds(lab.runs()[-1], "end") == [{"status": "FINISHED"}]


def test_it_can_be_switched_off(home: Home, lab: LabStandIn, torches: ForkServer) -> None:
    points = logged(home, lab, MODEL + MADE + "import genops\ngenops.start('r', auto=False)" + LOOP, torches)
    assert [point for point in points if "printed" not in point["values"]] == []


def test_groups_several_optimizers_and_closures(home: Home, lab: LabStandIn, torches: ForkServer) -> None:
    code = (
        MODEL
        + """
import genops
groups = [{"params": [model.weight], "lr": 0.1, "name": "weights"}, {"params": [model.bias], "lr": 0.2}]
first, second = torch.optim.Adam(groups), torch.optim.LBFGS(model.parameters(), lr=0.3, max_iter=3)
with genops.run("r"):
    for _ in range(3):
        backward()
        first.step()
        second.step(backward)
"""
    )
    points = logged(home, lab, code, torches)
    assert series(points, "train/learning_rate/weights")[0] == 0.1
    assert series(points, "train/learning_rate/group_1")[0] == 0.2
    assert series(points, "train/optimizer_2/learning_rate")[0] == 0.3
    assert series(points, "train/gradient_norm") and series(points, "train/optimizer_2/gradient_norm")


def test_names_that_the_user_logs_are_the_users(home: Home, lab: LabStandIn, torches: ForkServer) -> None:
    code = MODEL + MADE + (
        "import genops\ngenops.start('r')\nfor step in range(30):\n    backward()\n    optimizer.step()\n"
        "    if step == 10: genops.log({'train/learning_rate': -1.0})\ngenops.end()"
    )  # fmt: skip
    points = logged(home, lab, code, torches)
    assert series(points, "train/learning_rate") == [-1.0]
    assert series(points, "train/gradient_norm")


def test_a_step_that_the_scaler_skips_is_none(home: Home, lab: LabStandIn, torches: ForkServer) -> None:
    code = MODEL + MADE + (
        "import genops\nscaler = torch.amp.GradScaler('cpu', init_scale=4.0)\ngenops.start('r')\n"
        "for bad in (True, False):\n    model.zero_grad()\n    loss = model(data).square().mean()\n"
        "    scaler.scale(loss * float('inf') if bad else loss).backward()\n    scaler.step(optimizer)\n"
        "    scaler.update()\n"
        "print(torch.nn.utils.get_total_norm([p.grad for p in model.parameters()]).item())\ngenops.end()"
    )  # fmt: skip
    points = logged(home, lab, code, torches)
    (norm,) = series(points, "train/gradient_norm")
    assert math.isclose(norm, series(points, "printed")[0], rel_tol=1e-5)
    assert [point["step"] for point in points if "train/gradient_norm" in point["values"]] == [0]


def test_a_run_below_has_the_steps_that_are_made_in_it(
    home: Home, lab: LabStandIn, torches: ForkServer
) -> None:
    code = MODEL + MADE + (
        "import genops\nwith genops.run('outer'):\n    with genops.run('inner'):\n"
        "        backward(); optimizer.step()"
    )  # fmt: skip
    inner = logged(home, lab, code, torches)
    assert series(inner, "train/learning_rate") == [0.5]
    outer = next(events for events in lab.runs() if events[0]["data"]["name"] == "outer")
    assert own_metrics(outer) == []


def test_what_cannot_be_read_costs_the_training_nothing(
    home: Home, lab: LabStandIn, torches: ForkServer
) -> None:
    code = MODEL + MADE + (
        "import genops\ngenops.start('r')\nembedding = torch.nn.Embedding(9, 2, sparse=True)\n"
        "sparse = torch.optim.SparseAdam(embedding.parameters())\nembedding(torch.tensor([1])).sum().backward()\n"
        "sparse.step()\nbackward()\noptimizer.step()\ngenops.end()"
    )  # fmt: skip
    points = logged(home, lab, code, torches)
    assert series(points, "train/learning_rate") == [0.001]
    assert series(points, "train/gradient_norm") == []
    assert series(points, "train/optimizer_2/gradient_norm")
