"""Which cells may be repeated in one kernel."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

from genops_lab.runtime.outer_names import outer_change


def session() -> dict[str, Any]:
    """Names as a session has them."""
    from sklearn.linear_model import SGDClassifier

    namespace: dict[str, Any] = {}
    code = """
import random
import numpy as np
lr, total, names, data = 0.1, 0, [], {"a": 1}
def pure(n): return n + lr
def trains(): model.partial_fit(X, y)
def calls(): return trains()
def counts():
    global total
    total += 1
batches = iter([1, 2])
"""
    exec(code, namespace)
    namespace.update(model=SGDClassifier(), X=np.zeros((2, 2)), y=np.zeros(2))
    assert isinstance(namespace["random"], types.ModuleType)
    return namespace


@pytest.mark.parametrize(
    "code",
    [
        "x = 1\nx += 1",
        "total = 0\nfor n in range(3):\n    total = total + n",
        "own = []\nown.append(lr)\nown[0] = 2",
        "random.random(); np.zeros(3); print(lr)",
        "from sklearn.linear_model import SGDClassifier\nm = SGDClassifier()\nm.partial_fit(X, y, [0, 1])",
        "pure(3)\nlen(names)\nsum(X[0])",
        "def f():\n    return names\nf()",
        "with open('/dev/null') as stream:\n    stream.read()",
        "new_name = lr\nnew_name += 1",
    ],
)
def test_a_cell_that_makes_what_it_changes_may_be_repeated(code: str) -> None:
    assert outer_change(code, session()) is None


@pytest.mark.parametrize(
    ("code", "name", "line"),
    [
        ("\ntotal += 1", "total", 2),
        ("total = total + 1", "total", 1),
        ("del names", "names", 1),
        ("data['a'] = 2", "data", 1),
        ("x = 1\nmodel.alpha = 3", "model", 2),
        ("model.partial_fit(X, y)", "model", 1),
        ("names.append(1)", "names", 1),
        ("fit = print\nfit(model)", "model", 2),
        ("print(x=model)", "model", 1),
        ("for batch in batches:\n    pass", "batches", 1),
        ("next(batches)", "batches", 1),
        ("trains()", "model", 1),
        ("calls()", "model", 1),
        ("counts()", "total", 1),
        ("def f():\n    global total\n    total = 3", "total", 2),
        ("if lr:\n    names = []\nnames.append(1)", "names", 3),
    ],
)
def test_what_it_did_not_make_is_named_with_its_line(code: str, name: str, line: int) -> None:
    found = outer_change(code, session())
    assert found is not None
    assert (found.name, found.line) == (name, line)
