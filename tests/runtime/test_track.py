"""``%%track`` in real kernels."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.support.homes import Home
from tests.support.planted import planted_secrets

from .kernels import RunningKernel, running_kernel
from .stand_in import LabStandIn, eventually, kinds, own_metrics


def the_end(events: list[dict[str, Any]]) -> str:
    (data,) = kinds(events, "end")
    return str(data["status"])


CELL = """%%track --name digits --experiment lesson --tag team=a --param c=d --param lr=0.5
import genops
lr = 0.1
epochs = 5 * 2
title: str = "x"
_hidden = 3
total = 0
for epoch in range(epochs):
    genops.log({"loss": 1 / (epoch + 1)}, step=epoch)
    total += epoch
result = sum([1, 2])
"last value"
"""


def test_a_cell_becomes_a_run_and_stays_a_plain_cell(
    kernel: RunningKernel, lab: LabStandIn, home: Home
) -> None:
    cell = kernel.ok(CELL)
    assert cell.result == "'last value'"
    assert kernel.ok("lr, total, result").result == "(0.1, 45, 3)"
    events = lab.only_run()
    start = events[0]["data"]
    assert (start["name"], start["experiment"]) == ("digits", "lesson")
    assert start["tags"]["team"] == "a"
    assert start["params"] == {"lr": "0.5", "epochs": "10", "title": "x", "c": "d"}
    assert [data["step"] for data in own_metrics(events)] == list(range(10))
    assert the_end(events) == "FINISHED"
    (process,) = lab.processes.values()
    assert process["pid"] == kernel.pid
    assert process["kernel_id"] == "the-kernel"
    assert process["notebook"] == str(home.work / "lesson.ipynb")
    assert list((home.data / "spool").iterdir()) == []


def test_the_executed_cells_are_kept(kernel: RunningKernel, lab: LabStandIn) -> None:
    kernel.ok("before = 'ünï'")
    kernel.ok("%%track\nx = 1")
    texts = {data["path"]: data["content"] for data in kinds(lab.only_run(), "text")}
    cells = json.loads(texts["source/cells.json"])
    assert [cell["source"] for cell in cells][-2:] == ["before = 'ünï'", "%%track\nx = 1"]
    assert "# %% [2]\nbefore = 'ünï'" in texts["source/notebook.py"]
    kernel.ok("%%track --no-source\nx = 1")
    assert kinds(lab.runs()[1], "text") == []


def test_the_view_is_alive_while_it_runs_and_a_picture_afterwards(kernel: RunningKernel) -> None:
    cell = kernel.ok(
        "%%track --name <b>\nimport genops, time\nfor i in range(6):\n    genops.log({'loss': i}); time.sleep(.15)"
    )
    (shown,) = cell.of("display_data")
    view = shown["data"].get("application/vnd.jupyter.widget-view+json")
    if view is None:
        pytest.skip("the front end was never built here (genops_lab/runtime/static/run.js is missing)")
    assert "text/html" in shown["data"] and "text/plain" in shown["data"]
    card = shown["data"]["application/vnd.genops.card+json"]
    assert (card["view"], card["comm_id"], card["display_id"]) == (
        "run", view["model_id"], shown["transient"]["display_id"],
    )  # fmt: skip
    assert card["state"]["status"] == "RUNNING" and len(card["state"]["key"]) == 32
    opened = next(content for content in cell.of("comm_open") if content["comm_id"] == view["model_id"])
    state = opened["data"]["state"]
    assert opened["target_name"] == "jupyter.widget"
    assert (state["_model_module"], state["_model_name"], state["_view_name"]) == (
        "anywidget",
        "AnyModel",
        "AnyView",
    )
    assert "render" in state["_esm"]
    updates = [content["data"]["state"] for content in cell.of("comm_msg")]
    assert any(update.get("series", {}).get("loss") for update in updates)
    assert updates[-1]["status"] == "FINISHED"
    (final,) = cell.of("update_display_data")
    assert final["transient"]["display_id"] == shown["transient"]["display_id"]
    assert set(final["data"]) == {"text/html", "text/plain"}
    assert "data:image/svg+xml;base64," in final["data"]["text/html"]
    assert "&lt;b&gt;" in final["data"]["text/html"] and "<b>" not in final["data"]["text/html"]
    assert cell.of("comm_close")


def test_a_page_that_was_loaded_meanwhile_hears_that_the_run_diverged(kernel: RunningKernel) -> None:
    """It may have missed the message with which a field changed."""
    log = "genops.log({'loss': 1.0})\ngenops.log({'loss': float('nan')}, step=3)\n"
    cell = kernel.run(
        f"%%track\nimport time\n{log}for i in range(6):\n    genops.log({{'x': i}})\n    time.sleep(0.3)"
    )
    assert cell.status == "ok"
    if not cell.of("comm_open"):
        pytest.skip("the front end was never built here (genops_lab/runtime/static/run.js is missing)")
    updates = [content["data"]["state"] for content in cell.of("comm_msg")]
    diverged = [update.get("diverged") for update in updates]
    first = next(index for index, each in enumerate(diverged) if each)
    assert len(diverged[first:]) > 2
    assert diverged[first:] == [{"loss": "NaN since step 3"}] * len(diverged[first:])


def test_an_exception_fails_the_run_and_the_cell(kernel: RunningKernel, lab: LabStandIn) -> None:
    cell = kernel.run("%%track\ndef f():\n    1/0\nf()")
    assert (cell.status, cell.reply["ename"]) == ("error", "ZeroDivisionError")
    assert len(cell.of("error")) == 1
    traceback = "\n".join(cell.of("error")[0]["traceback"])
    assert "genops_lab/runtime" not in traceback
    assert the_end(lab.only_run()) == "FAILED"


def shown_error(kernel: RunningKernel, code: str) -> list[str]:
    """The lines of a traceback, without colours."""
    error_text = "\n".join(kernel.run(code).of("error")[0]["traceback"])
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", error_text).splitlines()]


def test_a_traceback_shows_the_line_that_was_typed(kernel: RunningKernel) -> None:
    lines = shown_error(kernel, "\n%%track --name boom\n%%profile --no-lines\nx = (1 +\n  1/0)")
    assert "      1 # %%track --name boom" in lines and "      2 # %%profile --no-lines" in lines, lines
    assert "----> 4   1/0)" in lines and not any("run_line_magic" in line for line in lines), lines


@pytest.mark.parametrize("magic", ["%%track\n", ""])
def test_a_value_that_is_no_number_is_an_error_of_the_users_line(kernel: RunningKernel, magic: str) -> None:
    lines = shown_error(
        kernel, f"{magic}import genops\ndef train():\n    genops.log({{'loss': 'abc'}})\ntrain()"
    )
    assert lines[-1].startswith("TypeError: genops.log: 'loss' is a str, not a number."), lines
    assert not any("genops_lab" in line or "float(value)" in line for line in lines), lines
    arrows = [line.partition("> ")[2] for line in lines if line.startswith("---") and "> " in line]
    assert [line.split(" ", 1)[1].strip() for line in arrows] == ["train()", "genops.log({'loss': 'abc'})"], (
        lines
    )
    kernel.run("genops.end()")


def test_an_interrupt_stops_the_run(kernel: RunningKernel, lab: LabStandIn) -> None:
    sent = kernel.send("%%track\nimport time\nprint('on')\ntime.sleep(60)")
    kernel.wait_for("stream")
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(sent)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert the_end(lab.only_run()) == "KILLED"
    assert kernel.ok("1 + 1").result == "2"


def test_top_level_await_works_in_a_tracked_cell(kernel: RunningKernel, lab: LabStandIn) -> None:
    cell = kernel.ok("%%track\nimport asyncio, genops\nawait asyncio.sleep(0.05)\ngenops.log({'a': 1})\n7")
    assert cell.result == "7"
    assert len(own_metrics(lab.only_run())) == 1
    assert the_end(lab.only_run()) == "FINISHED"


@pytest.mark.parametrize(
    "cell", ["%%track\n%%time\nx = 5", "%%time\n%%track\nx = 5", "%%capture out\n%%track\nx = 5"]
)
def test_other_magics_may_stand_above_and_below(kernel: RunningKernel, lab: LabStandIn, cell: str) -> None:
    kernel.ok(cell)
    assert kernel.ok("x").result == "5"
    assert the_end(lab.only_run()) == "FINISHED"
    assert lab.only_run()[0]["data"]["params"] == {"x": "5"}


def test_what_follows_a_tracked_cell_is_not_part_of_its_run(kernel: RunningKernel, lab: LabStandIn) -> None:
    kernel.ok("%%track --name first\nimport genops\ngenops.log({'a': 1})")
    kernel.ok("with genops.run('second'): genops.log({'b': 2})")
    first, second = lab.runs()
    assert [data["values"] for data in own_metrics(first)] == [{"a": 1.0}]
    assert [data["values"] for data in own_metrics(second)] == [{"b": 2.0}]


def test_as_a_line_and_as_a_call(kernel: RunningKernel, lab: LabStandIn) -> None:
    assert kernel.ok('%track --name "a line" sum([1, 2])').result == "3"
    kernel.ok("get_ipython().run_cell_magic('track', '--name called', 'y = 3')")
    names = [events[0]["data"]["name"] for events in lab.runs()]
    assert names == ["a line", "called"]
    assert {the_end(events) for events in lab.runs()} == {"FINISHED"}


def test_an_unknown_option_is_said_and_nothing_runs(kernel: RunningKernel, lab: LabStandIn) -> None:
    cell = kernel.run("%%track --nmae x\nran = True")
    assert cell.reply["ename"] == "GenOpsError"
    assert "--nmae" in cell.reply["evalue"] and "usage:" in cell.reply["evalue"]
    assert kernel.ok("'ran' in globals()").result == "False"
    assert lab.runs() == []


def test_the_git_commit_is_kept(kernel: RunningKernel, lab: LabStandIn, home: Home) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=home.work,
            env=home.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    git("init", "-q", "-b", "trunk")
    (home.work / "a.py").write_text("1")
    (home.work / "gates.yaml").write_text("kind: Gates\n")
    git("add", ".")
    git("commit", "-qm", "first")
    kernel.ok("%%track\nx = 1")
    (home.work / "a.py").write_text("2")
    (home.work / "gates.yaml").write_bytes(b"kind: Gates\r\nlooks: 2\r\n")
    kernel.ok("%%track\nx = 1")
    clean, dirty = (
        {k: v for data in kinds(events, "tags") for k, v in data.items()} for events in lab.runs()
    )
    assert clean == {
        "mlflow.source.git.commit": git("rev-parse", "HEAD"),
        "mlflow.source.git.branch": "trunk",
        "mlflow.source.git.dirty": "false",
        "genops.gates.hash": git("rev-parse", "HEAD:gates.yaml"),
    }
    assert dirty["mlflow.source.git.dirty"] == "true"
    (home.work / "gates.yaml").write_text("kind: Gates\nlooks: 2\n")
    assert dirty["genops.gates.hash"] == git("hash-object", "gates.yaml")


def test_system_metrics_come_with_a_longer_run(kernel: RunningKernel, lab: LabStandIn) -> None:
    kernel.ok("%%track\nimport time\ntime.sleep(2.6)")
    (system,) = [data["values"] for data in kinds(lab.only_run(), "metrics")]
    assert system["system/memory_mb"] > 1
    assert system["system/cpu_percent"] >= 0


def test_with_the_lab_away_the_cell_runs_and_its_run_is_kept(
    kernel: RunningKernel, lab: LabStandIn, home: Home
) -> None:
    lab.close()
    cell = kernel.ok("%%track --name away\nimport genops\ngenops.log({'a': 1})\n5")
    assert cell.result == "5"
    assert "No GenOps Lab is running" in cell.stream("stderr")
    (final,) = cell.of("update_display_data")
    assert "are kept in" in final["data"]["text/plain"]
    assert len(list((home.data / "spool").iterdir())) == 1
    lab.open()
    eventually(lambda: lab.runs() and kinds(lab.only_run(), "end"))
    eventually(lambda: not list((home.data / "spool").iterdir()))


def test_no_secret_comes_into_the_spool_of_a_kernel_without_a_lab(
    kernel: RunningKernel, lab: LabStandIn, home: Home
) -> None:
    lab.close()
    planted = planted_secrets()
    body = "\n".join(f"    {one.line}" for one in planted)
    kernel.ok(f"if False:\n{body}")
    kernel.ok("my_secret = ''.join(['swordfish', ' at sea'])\nprint(len('swordfish at sea'))")
    # Not yet in a variable of a secret's name when the cell begins.
    kernel.ok("harmless = 'plain words'")
    cell = kernel.ok(
        f"%%track --name n --param note={planted[0].secret} --tag t={planted[1].secret} --param password=swordfish2\n"
        f"title = {planted[2].secret!r}\napi_key = 'hunter2hunter2'\ncopied = my_secret\ndb_password = harmless"
    )
    (path,) = (home.data / "spool").iterdir()
    written = (
        path.read_text(encoding="utf-8") + json.dumps(cell.messages, default=str) + cell.stream("stderr")
    )
    kept = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    secrets = [one.secret for one in planted] + [
        "swordfish at sea", "hunter2hunter2", "plain words", "swordfish2",
    ]  # fmt: skip
    said = [secret for secret in secrets if secret in written]
    # The front end is shown the cell's own text by its kernel, as always; nothing else.
    shown = json.dumps(cell.of("execute_input"), default=str)
    assert [secret for secret in said if secret not in shown] == []
    assert [secret for secret in secrets if secret in path.read_text(encoding="utf-8")] == []
    assert set(kept[0]["data"]["params"]) == {"note", "title", "copied", "password"}
    texts = {event["data"]["path"] for event in kept if event["kind"] == "text"}
    assert {"source/cells.json", "source/installed.txt", "source/record.json"} <= texts


def test_a_secret_that_a_variable_gets_during_the_run_goes_out_of_its_patch(
    kernel: RunningKernel, lab: LabStandIn, home: Home
) -> None:
    for command in ("init -q", "-c user.name=t -c user.email=t@t commit -q --allow-empty -m first"):
        subprocess.run(["git", *command.split()], cwd=home.work, check=True, env=home.environment())
    (home.work / "settings.py").write_text("phrase = 'plain words'\n")
    kernel.ok(
        "%%track\nimport settings, threading\n"
        "[one.join() for one in threading.enumerate() if one.name == 'genops-keeper']  # the patch is taken\n"
        "my_password = settings.phrase"
    )
    texts = kinds(lab.only_run(), "text")
    patches = [text["content"] for text in texts if text["path"] == "source/uncommitted.patch"]
    assert "plain words" not in patches[-1] and "[redacted: secret variable]" in patches[-1]
    record = json.loads([text["content"] for text in texts if text["path"] == "source/record.json"][-1])
    assert record["git"]["patch"]["redacted"] == {"settings.py": {"secret variable": 1}}
    assert record["redacted"] == {"secret variable": 1}


def test_a_killed_kernel_leaves_its_events(kernel: RunningKernel, lab: LabStandIn, home: Home) -> None:
    lab.close()
    kernel.send(
        "%%track\nimport genops, time\nfor i in range(20): genops.log({'a': i}, step=i)\nprint('on')\ntime.sleep(60)"
    )
    while "on" not in kernel.wait_for("stream")["content"]["text"]:
        continue
    os.kill(kernel.pid, signal.SIGKILL)
    (path,) = (home.data / "spool").iterdir()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(lines[0])["process"]["kernel_id"] == "the-kernel"
    assert [data["step"] for data in own_metrics([json.loads(line) for line in lines[1:]])] == list(range(20))


def test_loading_is_light_and_can_be_undone(home: Home) -> None:
    with running_kernel(sys.executable, home.environment(), home.work) as kernel:
        kernel.ok("import sys\nbefore = set(sys.modules)\n%load_ext genops_lab")
        loaded = kernel.ok("print(*sorted(set(sys.modules) - before))").stream("stdout").split()
        heavy = ("mlflow", "torch", "numpy", "pandas", "msgspec", "sqlalchemy", "tornado", "genops_lab.core")
        assert [name for name in loaded if name.startswith(heavy)] == []
        assert "genops_lab.runtime.magics" in loaded
        kernel.ok("%unload_ext genops_lab")
        assert "`%%track` not found" in kernel.run("%%track\nx = 1").stream("stderr")
        kernel.ok("%load_ext genops_lab\n%reload_ext genops_lab")
        assert kernel.ok("%%track\nx = 1\nx").result == "1"


def test_requests_for_the_state_are_answered(kernel: RunningKernel) -> None:
    sent = kernel.send("%%track\nimport asyncio\nfor _ in range(40): await asyncio.sleep(0.1)")
    opened = kernel.wait_for("comm_open")["content"]
    message = kernel.client.session.msg(
        "comm_msg", {"comm_id": opened["comm_id"], "data": {"method": "request_state"}}
    )
    kernel.client.shell_channel.send(message)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        content = kernel.wait_for("comm_msg")["content"]
        if "_esm" in content["data"]["state"]:
            break
    assert content["data"]["method"] == "update"
    kernel.manager.interrupt_kernel()
    kernel.finish(sent)
