"""``%genops``: a program of the same contract stands in for the Lab's command line, as a real process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.support.homes import Home

from .kernels import RunningKernel, running_kernel

PROGRAM = """
import json, os, signal, sys, time
args = sys.argv[1:]
deployment = {"name": "digits", "state": "running", "key": "SECRET", "url": "", "model": "m", "version": "1"}
def answer(data, view=""):
    if "--json" in args: print(json.dumps(data, indent=2))
    elif os.environ.get("GENOPS_OUTPUT") == "notebook":
        print(json.dumps({"text": f"text of {args[0]}", "html": "<b>html</b>", "data": data, "view": view}))
    else: print("terminal")
if args[0] == "deploy":
    for state in ("preparing", "starting"): print(f"digits: {state}", file=sys.stderr, flush=True)
    answer(deployment, "deployment")
elif args[0] == "list": answer([{"name": "a"}, {"name": "b"}])
elif args[0] == "env":
    answer({**{name: os.environ.get(name) for name in ("PYTHONPATH", "GENOPS_OUTPUT")}, "args": args})
elif args[0] == "fail":
    print("Error: there is no such run", file=sys.stderr); print("Hint: list them", file=sys.stderr); sys.exit(3)
elif args[0] == "damaged":
    answer({"events": 3}); sys.exit(6)
elif args[0] == "--help": print("Usage: genops")
elif args[0] == "wait":
    try: print("waiting", file=sys.stderr, flush=True); time.sleep(60)
    except KeyboardInterrupt:
        open("interrupted", "w").write("once"); sys.exit(130)
"""


@pytest.fixture(scope="module")
def kernel(module_home: Home) -> Iterator[RunningKernel]:
    """A kernel whose command line is the stand-in."""
    program = module_home.path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    env = module_home.environment(
        GENOPS_CLI=json.dumps([sys.executable, str(program)]), PYTHONPATH="/nowhere"
    )
    with running_kernel(sys.executable, env, module_home.work) as found:
        found.ok("%load_ext genops_lab")
        yield found


def test_a_statement_shows_progress_and_then_its_answer(kernel: RunningKernel) -> None:
    cell = kernel.ok("%genops deploy digits --wait")
    assert cell.stream("stdout") == "digits: preparing\ndigits: starting\n"
    (shown,) = cell.of("display_data")
    assert shown["data"] == {"text/plain": "text of deploy", "text/html": "<b>html</b>"}
    assert cell.of("execute_result") == []


def test_an_assignment_gives_the_data_and_shows_nothing(kernel: RunningKernel) -> None:
    cell = kernel.ok("service = %genops deploy digits")
    assert cell.of("display_data") == []
    assert kernel.ok("service['state'], service.state, dict(service)['key'], len(service)").result == (
        "('running', 'running', 'SECRET', 6)"
    )
    shown = kernel.ok("service").of("execute_result")[0]["data"]
    assert shown["text/plain"] == "text of deploy" and shown["text/html"] == "<b>html</b>"
    assert "SECRET" not in json.dumps(shown)
    assert kernel.ok("callable(service.predict)").result == "True"


def test_without_a_text_the_key_stays_hidden(kernel: RunningKernel) -> None:
    kernel.ok("service = %genops deploy digits --json")
    shown = kernel.ok("service").of("execute_result")[0]["data"]["text/plain"]
    assert "SECRET" not in shown and "'key': '…'" in shown


def test_a_list_is_a_sequence(kernel: RunningKernel) -> None:
    kernel.ok("found = %genops list")
    assert (
        kernel.ok("[each['name'] for each in found], len(found), found[1]['name']").result
        == "(['a', 'b'], 2, 'b')"
    )


def test_arguments_and_environment(kernel: RunningKernel) -> None:
    kernel.ok("name = 'two words'\nd = %genops env --title \"{name}\"")
    assert kernel.ok("d['PYTHONPATH'], d['GENOPS_OUTPUT'], d['args']").result == (
        "(None, 'notebook', ['env', '--title', 'two words'])"
    )
    assert json.loads(kernel.ok("%genops env --json").stream("stdout"))["GENOPS_OUTPUT"] is None
    cell = kernel.ok("%genops deploy digits --json")
    assert json.loads(cell.stream("stdout"))["name"] == "digits", "all but the answer is on standard error"
    assert "digits: preparing" in cell.stream("stderr")


def test_a_failure_is_told_once_and_stops_the_notebook(kernel: RunningKernel) -> None:
    cell = kernel.run("%genops fail")
    assert cell.status == "error" and cell.reply["ename"] == "CommandFailed"
    assert cell.stream("stderr") == "Error: there is no such run\nHint: list them\n"
    assert cell.of("error")[0]["traceback"] == ["CommandFailed: genops ended with exit code 3: not found."]


def test_an_answer_of_a_damaged_trace_is_an_answer(kernel: RunningKernel) -> None:
    kernel.ok("part = %genops damaged --json")
    assert kernel.ok("part['events']").result == "3"


def test_help_is_printed_as_it_is(kernel: RunningKernel) -> None:
    assert kernel.ok("%genops --help").stream("stdout") == "Usage: genops\n"


def test_an_interrupt_reaches_the_program(kernel: RunningKernel, module_home: Home) -> None:
    sent = kernel.send("%genops wait")
    kernel.wait_for("stream")
    kernel.manager.interrupt_kernel()
    assert kernel.finish(sent).reply["ename"] == "KeyboardInterrupt"
    assert (module_home.work / "interrupted").read_text() == "once"


def test_an_open_quote_is_said(kernel: RunningKernel) -> None:
    assert "Close the quote" in kernel.run("%genops list 'a").reply["evalue"]


def test_loading_the_extension_says_what_is_there_and_offers_genops(kernel: RunningKernel) -> None:
    kernel.ok("%unload_ext genops_lab\ndel genops")
    loaded = kernel.ok("%load_ext genops_lab")
    assert "%%track, %%profile, %%sweep and %genops are ready.\nTo log metrics: genops.log(" in loaded.stream(
        "stdout"
    )
    assert kernel.ok("genops.log.__module__").result == "'genops_lab.runtime.api'"
    kernel.ok("%unload_ext genops_lab\ngenops = 'mine'")
    loaded = kernel.ok("%load_ext genops_lab")
    assert "import genops, then genops.log(" in loaded.stream("stdout")
    assert kernel.ok("genops").result == "'mine'"
