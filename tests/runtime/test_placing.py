"""Values put into a cell's text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from genops_lab.runtime.errors import GenOpsError
from genops_lab.runtime.setup_cells import is_left_out, untracked
from genops_lab.runtime.sweeping import refuse_words_for_numbers
from genops_lab.runtime.value_substitution import placed


def put(code: str, **values: Any) -> tuple[str, str]:
    from IPython.core.inputtransformer2 import TransformerManager

    return tuple(placed(code, values, TransformerManager().transform_cell))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("code", "values", "cell"),
    [
        ("lr = 0.01  # usual\n", {"lr": 0.1}, "lr = 0.1  # usual\n"),
        ("lr: float = 0.01", {"lr": 1e-05}, "lr: float = 1e-05\n"),
        ("a, b = 1, 'x'", {"b": "y"}, "a, b = 1, 'y'\n"),
        ("é = 'ü'; lr = [\n 1,\n 2]; z = 3", {"lr": None, "z": 4}, "é = 'ü'; lr = None; z = 4\n"),
        ("%matplotlib inline\nlr = 1\n!ls", {"lr": 2}, "%matplotlib inline\nlr = 2\n!ls\n"),
        ("lr = 1\nlr = lr * 2", {"lr": 3}, "lr = 3\nlr = lr * 2\n"),
    ],
)
def test_the_first_assignment_has_the_value(code: str, values: dict[str, Any], cell: str) -> None:
    assert put(code, **values) == ("", cell)


def test_what_is_only_read_is_set_before() -> None:
    assert put("def f():\n    return n\nprint(f())", n="x'") == (
        'n = "x\'"',
        "def f():\n    return n\nprint(f())\n",
    )


@pytest.mark.parametrize("code", ["x = 1", "def f():\n    lr = 1", "%%timeit\nlr = 1", "lr ="])
def test_a_name_that_has_no_place_is_refused(code: str) -> None:
    with pytest.raises(GenOpsError):
        put(code, lr=1)


def test_cells_before_a_trial() -> None:
    assert untracked("\n%%track --name a\n%%profile\n%%time\nx = 1") == "%%time\nx = 1"
    assert [is_left_out(code) for code in ("", "# a", "%%sweep a=1\na = 1", "%%track --repeat 3\nx")] == [
        True
    ] * 4
    assert is_left_out("# see\n%genops runs list\n%load_ext genops_lab")
    assert not is_left_out("%genops status\nx = 1")
    assert not is_left_out("%%track\nx = 1")


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("lr=0.1;0.2", "lr is a number in the cell, and '0.1;0.2' is not a number."),
        ("lr=0,05", "begins with 0"),
    ],
)
def test_a_word_where_the_cell_has_a_number_is_refused(space: str, words: str) -> None:
    with pytest.raises(GenOpsError, match=re.escape(words)):
        refuse_words_for_numbers([space], {"lr": 0.1})


def test_values_that_fit_the_cell_pass() -> None:
    space = ["lr=0.1, 1e-3", "n=1,2,None", "act=relu,gelu", "other=a;b", "width=int(8, 64, 8)"]
    refuse_words_for_numbers(space, {"lr": 0.1, "n": 3, "act": "relu", "width": 8})
