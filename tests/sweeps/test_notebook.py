"""``%%sweep`` in a notebook's kernel, with a real JupyterLab that runs the trials."""

from __future__ import annotations

import pytest

from tests.runtime.kernels import Cell, RunningKernel

from .conftest import Sweeper, id_of, shown, until


def test_a_cell_is_swept_with_the_cells_before_it(kernel: RunningKernel, sweeper: Sweeper) -> None:
    kernel.ok("import genops\nbase = 10")
    kernel.ok("%%track --no-system\nbase = base + 1\ngenops.log({'untracked in trials': 1})")
    assert kernel.run("raise ValueError('not again')").status == "error"
    kernel.ok("%genops runs list --limit 1")
    cell = kernel.ok(
        "%%sweep lr=uniform(0.1, 0.3, 0.1) n=1, 2 --metric score --maximize --method grid --parallel 2 --on forked "
        "--wait\n"
        "lr = 0.5\ngenops.log({'score': lr * n + base})"
    )
    sweep = id_of(cell)
    output = cell.stream("stdout")
    assert "6 trials. Each fresh kernel runs [2] first (" in output and "s in this session)." in output
    assert "Left out: [3] tracked. Add cells with `--setup 1,3-5`" in output
    done = sweeper.get(sweep)
    assert done["state"] == "done" and done["method"] == "grid"
    assert done["best"] == 5 and done["trials"][5]["value"] == pytest.approx(10.6)
    assert [run.metrics.keys() for run in sweeper.runs(sweep)] == [{"score"}] * 6
    html = shown(kernel, cell, lambda html: "6 of 6 trials" in html)
    assert "<script" not in html and "10.6" in html and "best" in html
    states = [
        content["data"]["state"]
        for content in cell.of("comm_msg")
        if content["data"].get("method") == "update" and "counts" in content["data"]["state"]
    ]
    assert states, "the live table heard of the trials"
    assert kernel.ok("'lr' in dir(), 'base' in dir()").result == "(False, True)"


def test_an_interrupt_leaves_the_sweep_and_the_view_stops_it(kernel: RunningKernel, sweeper: Sweeper) -> None:
    asked = kernel.send("%%sweep n=1,2 --wait\nimport time\nwhile n:\n    time.sleep(0.05)")
    begun = kernel.wait_for("comm_open")
    kernel.wait_for("display_data")
    until(lambda: any(found["state"] == "running" for found in sweeper.lab.get("genops/sweeps")))
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(asked)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    assert "continues. To stop it, run `%genops sweeps stop" in cell.stream("stderr")
    (sweep,) = [found for found in sweeper.lab.get("genops/sweeps") if found["state"] == "running"]
    message = kernel.client.session.msg(
        "comm_msg",
        {"comm_id": begun["content"]["comm_id"], "data": {"method": "custom", "content": {"do": "stop"}}},
    )
    kernel.client.shell_channel.send(message)
    assert sweeper.ended(sweep)["state"] == "stopped"
    assert "Stopped by the user." in shown(kernel, cell, lambda html: "stopped" in html)


def test_an_earlier_try_of_the_same_cell_does_not_run_first(kernel: RunningKernel, sweeper: Sweeper) -> None:
    def run(code: str, cell_id: str) -> Cell:
        message = kernel.client.session.msg(
            "execute_request",
            {
                "code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
                "stop_on_error": False,
            },
            metadata={"cellId": cell_id},
        )  # fmt: skip
        kernel.client.shell_channel.send(message)
        return kernel.finish(message["header"]["msg_id"])

    run("import genops\nseen = []", "a")
    run("seen.append(1)", "b")
    run("seen.append(2)", "b")
    run("n = 1\nseen.append('trial')", "c")
    cell = run(
        "%%sweep n=5 --metric length --wait\nn = 1\nassert seen == [2]\ngenops.log({'length': n})", "c"
    )
    assert cell.status == "ok"
    done = sweeper.get(id_of(cell))
    assert [trial["state"] for trial in done["trials"]] == ["finished"], done
    assert done["setup"] == ["[2]", "[4]"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%sweep\nx = 1", "needs a name with values to try"),
        ("%%sweep depth=1,2\nx = 1", "neither assigns depth at its top level nor reads it"),
        ("%%sweep x=1 --setup 99\nx = 1", "This session has no cell [99]."),
        ("%%sweep x=1 --on nowhere\nx = 1", "There is no kernel or target 'nowhere'."),
        ("%%sweep x=1 --method luck\nx = 1", "--method"),
        ("%%sweep x=uniform(0, 1) --method grid\nx = 1", "the range of x has no step"),
        ("%%sweep x=1 --maximize --minimize\nx = 1", "exclude each other"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(refusing: RunningKernel, cell: str, words: str) -> None:
    ran = refusing.run(cell)
    assert ran.status == "error"
    assert words in ran.reply["evalue"]
