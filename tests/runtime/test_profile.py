"""``%%profile`` with the real PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.runtime.live import VIEW_MIME, script
from tests.support.homes import Home
from tests.support.needs import need_torch

from .kernels import RunningKernel, said_on
from .profiled import SUMMARY, WORK, events, operators
from .stand_in import LabStandIn, kinds

need_torch()
pytestmark = pytest.mark.slow


@pytest.fixture
def kernel(torch_kernel: RunningKernel) -> RunningKernel:
    """With PyTorch imported."""
    return torch_kernel


def test_the_trace_is_handed_over_and_the_summary_shown(
    fresh_kernel: RunningKernel, profiles: list[dict[str, Any]], home: Home
) -> None:
    """The profiled cell is the first that imports PyTorch."""
    cell = fresh_kernel.ok(f'%%profile --title "ten <steps>"\n{WORK}\n5')
    assert cell.result == "5"
    (given,) = profiles
    assert given["title"] == "ten <steps>"
    trace = Path(given["trace_path"])
    assert trace.name == "trace.json" and trace.parent.parent == home.data / "profiles"
    assert [path.name for path in trace.parent.iterdir()] == ["trace.json"]
    assert trace.stat().st_mode & 0o777 == 0o600
    assert "aten::mm" in operators(given["trace_path"])
    (first,) = cell.of("display_data")
    assert "ten &lt;steps&gt;" in first["data"]["text/html"]
    last = cell.of("update_display_data")[-1]
    assert last["transient"]["display_id"] == first["transient"]["display_id"]
    assert set(last["data"]) == {"text/html", "text/plain"}, "what is saved needs no kernel"
    assert "aten::mm&lt;&amp;&gt;" in last["data"]["text/html"]
    assert "busy 80 %" in last["data"]["text/plain"]


def test_what_is_asked_for_more_brings_no_warnings(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    cell = kernel.ok(f"%%profile --stacks\n{WORK}")
    assert cell.stream("stderr") == ""
    number = cell.reply["execution_count"]
    assert profiles[0]["title"] == f"lesson [{number}]", "a notebook's profiles are told apart by their cells"


def test_help_says_what_the_options_do_and_runs_nothing(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    cell = kernel.run("%%profile --help\nprint('ran')")
    assert "record Python stacks" in cell.stream("stdout") and "ran" not in cell.stream("stdout").split()
    assert profiles == []


def test_a_capture_says_what_it_is(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    cell = kernel.ok(
        f"import genops, torch\nwith genops.profile('mine') as p:\n    {WORK.splitlines()[1]}\np"
    )
    assert cell.result.startswith("<genops profile 'mine': ready, ")


def test_the_lab_is_told_to_expect_it(
    kernel: RunningKernel, lab: LabStandIn, profiles: list[dict[str, Any]]
) -> None:
    lab.answers["POST", "/genops/profiles/expected"] = lambda _body: (200, None)
    kernel.ok(f"%%profile\n{WORK}\nimport time; time.sleep(0.5)")
    asked = [path for method, path, _ in lab.requests if method == "POST" and path.startswith("/genops/prof")]
    assert asked == ["/genops/profiles/expected", "/genops/profiles"]


def test_the_live_view_is_told_what_happens(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    if script("profile") is None:
        pytest.skip("the front end is not built")
    cell = kernel.ok(f"%%profile\n{WORK}")
    (opened,) = [one for one in cell.of("comm_open") if one["target_name"] == "jupyter.widget"]
    (first,) = cell.of("display_data")
    assert first["data"][VIEW_MIME]["model_id"] == opened["comm_id"]
    assert opened["data"]["state"]["state"] == "writing"
    states = [one["data"]["state"] for one in cell.of("comm_msg") if one["comm_id"] == opened["comm_id"]]
    # Between them it may be told what was recorded, where there is something to say of it.
    assert [one["state"] for one in states if set(one) != {"note"}] == ["analyzing", "ready"]
    assert states[-1]["summary"] == SUMMARY
    assert [one["comm_id"] for one in cell.of("comm_close")] == [opened["comm_id"]]


def test_with_track_both_apply(
    kernel: RunningKernel, lab: LabStandIn, profiles: list[dict[str, Any]]
) -> None:
    kernel.ok(f"%%track --name both\n%%profile\nsteps = 3\n{WORK}")
    assert profiles[0]["run_id"] == "run-of-both"
    tracked = lab.only_run()
    assert tracked[0]["data"]["params"] == {"steps": "3"}
    assert kinds(tracked, "end") == [{"status": "FINISHED"}]
    kernel.ok(f"%%profile\n{WORK}")
    assert profiles[1]["run_id"] == "run-of-both", "the last tracked run of this kernel"
    kernel.ok(f"%%profile\n%%track --name below\n{WORK}")
    assert profiles[2]["run_id"] == "run-of-below"
    marked = [name for name in operators(profiles[2]["trace_path"]) if "genops:line:" in name]
    assert sorted(name[-1] for name in marked) == ["3", "4"], "neither of the two"


def test_a_long_cell_is_recorded_for_a_bounded_time(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    code = "import torch, time\ntorch.ones(8, 8) @ torch.ones(8, 8)\ntime.sleep(1)\ntorch.ones(3).cumsum(0)"
    cell = kernel.ok(f"%%profile --seconds 0.5\n{code}")
    assert "until 0.5 s (more with --seconds)" in said_on(cell) and not cell.stream("stderr")
    names = operators(profiles[0]["trace_path"])
    assert "aten::mm" in names and "aten::cumsum" not in names
    assert (
        kernel.ok("import threading; [t.name for t in threading.enumerate() if 'profile' in t.name]").result
        == "[]"
    )


def test_a_cell_that_raises_is_recorded_to_there(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    """IPython's work on the traceback calls more Python than such a cell, and has torch's operators in this one."""
    kernel.ok(
        "import torch\n"
        "class Shows(Exception):\n    def __str__(self): torch.ones(3).cumprod(0); return 'shown'"
    )
    cell = kernel.run("%%profile\ntorch.ones(3).cumsum(0)\nraise Shows")
    assert cell.reply["ename"] == "Shows" and "shown" in cell.reply["evalue"]
    names = operators(profiles[0]["trace_path"])
    assert "aten::cumsum" in names and "aten::cumprod" not in names
    said = said_on(cell)
    assert "until it ended with Shows." in said and "no line of its own" not in said
    assert kernel.ok("'showtraceback' in vars(get_ipython())").result == "False"


def test_an_error_that_the_cell_itself_shows_ends_nothing(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    kernel.ok("import torch")
    cell = kernel.ok("%%profile\nget_ipython().run_cell('1/0')\ntorch.ones(3).cumsum(0)")
    assert "ZeroDivisionError" in str(cell.messages)
    assert "aten::cumsum" in operators(profiles[0]["trace_path"])
    assert "until it ended" not in said_on(cell)


def test_as_a_line_and_as_a_context(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    kernel.ok("import torch, genops")
    assert kernel.ok("%profile --title line torch.ones(2).sum().item()").result == "2.0"
    kernel.ok("with genops.profile('context') as p: torch.ones(2) + 1")
    assert [given["title"] for given in profiles] == ["line", "context"]
    assert kernel.ok("p.profile['state']").result == "'ready'"


def test_with_the_lab_away_the_trace_is_kept(kernel: RunningKernel, lab: LabStandIn, home: Home) -> None:
    lab.close()
    cell = kernel.ok(f"%%profile\n{WORK}")
    (folder,) = (home.data / "profiles").iterdir()
    assert f"kept in {folder}/trace.json." in cell.stream("stderr")
    assert "aten::mm" in operators(str(folder / "trace.json"))
    assert "No GenOps Lab is running" in cell.of("update_display_data")[-1]["data"]["text/plain"]


def test_a_refused_profile_does_not_keep_the_run_open(kernel: RunningKernel, lab: LabStandIn) -> None:
    cell = kernel.ok(f"%%track\n%%profile\n{WORK}")  # the stand-in knows no profiles here: 404
    assert "The trace is kept in" in cell.stream("stderr")
    assert kinds(lab.only_run(), "end") == [{"status": "FINISHED"}]


def test_lines_of_the_cell_and_of_earlier_cells_are_marked(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    kernel.ok("import torch\ndef work(x):\n    y = x + 1\n    return y.cumsum(0)")
    code = "%%profile\nx = torch.ones(3)\nz = work(x)\nz[0].item()"
    message = kernel.client.session.msg(
        "execute_request", {"code": code, "allow_stdin": False, "store_history": True}
    )
    message["metadata"] = {"cellId": "the-cell"}
    kernel.client.shell_channel.send(message)
    cell = kernel.finish(message["header"]["msg_id"])
    assert cell.result == "2.0"
    lines = {
        event["name"]
        for event in events(profiles[0]["trace_path"])
        if "genops:line:" in event.get("name", "")
    }
    own = {line for line in lines if "the-cell" in line}
    assert own == {f"genops:line:the-cell:{line}" for line in (2, 3, 4)}, (
        "the line of %%profile is none of them"
    )
    assert {line.partition(":In%5B")[2][-1:] for line in lines if ":In%5B" in line} == {"3", "4"}, "work()"
    kinds = {
        event["cat"] for event in events(profiles[0]["trace_path"]) if "genops:" in event.get("name", "")
    }
    assert kinds == {"user_annotation"}, "no operators"
    assert kernel.ok("import sys; sys.gettrace() is None").result == "True"


def test_a_trace_tells_its_cells_numbers_and_lines_without_secrets(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    kernel.ok("import torch\nx = torch.ones(3)\ndef work(x):\n    return x.cumsum(0)")
    code = "%%profile\ny = work(x)\npassword = 'korrekt-pferd-17'\n%time work(x)"
    cell = kernel.ok(code)
    number = cell.reply["execution_count"]
    cells = json.loads(Path(profiles[0]["trace_path"]).read_text(encoding="utf-8"))["genopsCells"]
    assert [(one["name"], one["number"]) for one in cells] == [
        (f"In[{number - 1}]", number - 1),
        (f"In[{number}]", number),
    ]
    assert cells[0]["lines"] == {"4": "return x.cumsum(0)"}
    assert cells[1]["lines"] == {
        "2": "y = work(x)",
        "3": "password = '[redacted: secret variable]'",
        "4": "%time work(x)",
    }
    kernel.ok("import os; os.environ['GENOPS_NO_SOURCE'] = '1'")
    kernel.ok("%%profile\nwork(x)")
    cells = json.loads(Path(profiles[1]["trace_path"]).read_text(encoding="utf-8"))["genopsCells"]
    assert cells[-1]["number"] and not any(one["lines"] for one in cells)


def test_a_cell_that_awaits_is_recorded(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    kernel.ok("import torch, asyncio")
    cell = kernel.ok("%%profile\nawait asyncio.sleep(0)\ntorch.ones(3).cumsum(0)\nawait asyncio.sleep(0)\n7")
    assert cell.result == "7"
    found = events(profiles[0]["trace_path"])
    (work,) = [event for event in found if event.get("name") == "aten::cumsum"]
    inside = [
        event["name"].rpartition(":")[2]
        for event in found
        if "genops:line:" in event.get("name", "") and event["ts"] <= work["ts"] <= event["ts"] + event["dur"]
    ]
    assert inside == ["3"]


def test_an_interrupted_cell_is_handed_over(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    sent = kernel.send(
        "%%profile\nimport torch, time\ntorch.ones(3).cumsum(0)\nprint('there')\ntime.sleep(60)"
    )
    kernel.wait_for("stream")
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(sent)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert "aten::cumsum" in operators(profiles[0]["trace_path"])
    assert "until it ended with KeyboardInterrupt." in said_on(cell)


HOT = """\
total = 0
for i in range(400_000):
    total += i
    total -= 1
    if i % 1000 == 0: x.add(x)
x.mul(x)
total, hot(200_000)"""


def test_a_hot_loop_of_python_is_told_and_its_work_is_its_lines(
    kernel: RunningKernel, profiles: list[dict[str, Any]]
) -> None:
    """Through the whole of a recording: what is given up, what is said of it, and that all of it is counted."""
    kernel.ok("import torch\nx = torch.ones(3)\ntorch.set_num_threads(1)")
    kernel.ok(
        "def hot(turns):\n    total = 0\n    for i in range(turns):\n        total += i\n"
        "        if i % 1000 == 0: x.sub(x)\n    return total"
    )
    cell = kernel.ok(f"%%profile\n{HOT}")
    assert cell.result == str((sum(range(400_000)) - 400_000, sum(range(200_000))))
    said = said_on(cell)
    assert "These ran too often to be marked: " in said and "lines 3 to" in said
    assert " % of the time therefore has no line of its own." in said
    found = [event for event in events(profiles[0]["trace_path"]) if event.get("ph") == "X"]
    own = f"genops:line:In%5B{cell.reply['execution_count']}%5D:"
    lines = [event for event in found if event["name"].startswith("genops:line:")]
    assert len(lines) < 20_000, "of 2 million"

    def around(name: str) -> list[str]:
        """The cell's own lines, the outermost, round each call of an operator."""
        return [
            min(
                (line["ts"], line["name"].replace(own, ""))
                for line in lines
                if line["name"].startswith(own)
                and line["ts"] <= event["ts"]
                and event["ts"] + event["dur"] <= line["ts"] + line["dur"]
            )[1]
            for event in found
            if event["name"] == name
        ]

    assert around("aten::add") == ["3"] * 400, "the loop as a whole has a line"
    assert around("aten::mul") == ["7"]
    assert around("aten::sub") == ["8"] * 200, "what a function's lines are not marked for is its caller's"


def test_hot_loops_between_steps_cost_no_step(kernel: RunningKernel, profiles: list[dict[str, Any]]) -> None:
    kernel.ok(
        "import torch\ntorch.set_num_threads(1)\nnet = torch.nn.Linear(8, 8)\n"
        "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)"
    )
    cell = kernel.ok(
        "%%profile --steps 4\nfor step in range(9):\n    optimizer.zero_grad()\n"
        "    net(torch.ones(2, 8)).sum().backward()\n    optimizer.step()\n    total = 0\n"
        "    for i in range(100_000):\n        total += i\ntotal"
    )
    assert cell.result == str(sum(range(100_000)))
    assert "recorded steps 3 to 6" in said_on(cell) and "ran too often to be marked" in said_on(cell)
    names = [event.get("name", "") for event in events(profiles[0]["trace_path"]) if event.get("ph") == "X"]
    assert sorted(name for name in names if name.startswith("ProfilerStep")) == [
        f"ProfilerStep#{number}" for number in (2, 3, 4, 5)
    ]
    for once in ("Optimizer.step#SGD.step", "aten::linear"):
        assert names.count(once) == 4
