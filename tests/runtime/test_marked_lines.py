"""What stands beside a trace for its markers, and what a shell has after a cell with scopes: real shells, each in a
process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SHELL = """
import json
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""
LINES = """
from genops_lab.runtime.profiling.upload import marked_cells

def lines(cell, wanted):
    shell.run_cell(cell, store_history=True)
    [file] = [name for name, n in shell.compile._filename_map.items() if n == shell.execution_count - 1]
    [found] = marked_cells({file: "c"}, [(file, line) for line in wanted])
    return found["lines"]
"""
SCOPES = """
from genops_lab.runtime.scopes import OPEN_MAGIC, Scope, Scopes

closed = []

class Watched(Scope):
    def close(self, status):
        closed.append(status)

scopes = Scopes(shell, {"watch": lambda options, code: Watched()})
scopes.register()
shell.register_magic_function(scopes.open, magic_name=OPEN_MAGIC)
"""


def printed(*program: str) -> Any:
    """The JSON that a program prints last."""
    done = subprocess.run(
        [sys.executable, "-c", "\n".join((SHELL, *program))],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_secret_that_another_line_gives_away_is_taken_out() -> None:
    cell = 'def login(**given): pass\nlogin(\n    user="bob",\n    password=\n        "hunter2value9",\n)'
    found = printed(LINES, f"print(json.dumps(lines({cell!r}, [2, 3, 5])))")
    assert found["2"] == "login(" and found["3"] == 'user="bob",'
    assert "hunter2value9" not in json.dumps(found)


def test_lines_count_from_the_first_that_is_not_blank() -> None:
    found = printed(LINES, f"print(json.dumps(lines({chr(10) * 3 + 'x = 1' + chr(10) + 'y = 2'!r}, [1, 2])))")
    assert found == {"1": "x = 1", "2": "y = 2"}


def test_a_hook_of_another_extension_is_there_again_after_a_cell() -> None:
    found = printed(
        SCOPES,
        "def theirs(*arguments, **options): shown.append(1)",
        "shown = []",
        "shell.showtraceback = theirs",
        "shell.run_cell('%%watch\\n1 / 0')",
        "print(json.dumps([closed, shown, vars(shell).get('showtraceback') is theirs, 'run_code' in vars(shell)]))",
    )
    assert found == [["FAILED"], [1], True, False]


def test_a_cell_that_takes_a_hook_off_closes_its_scope_and_the_next_ones() -> None:
    found = printed(
        SCOPES,
        "shell.run_cell('%%watch\\ndel get_ipython().showtraceback')",
        "shell.run_cell('%%watch\\nx = 1')",
        "print(json.dumps([closed, 'showtraceback' in vars(shell), 'run_code' in vars(shell)]))",
    )
    assert found == [["FINISHED", "FINISHED"], False, False]
