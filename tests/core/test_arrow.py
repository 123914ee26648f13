"""Arrow arrays from and to Python's: as pyarrow's own conversions, without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from genops_lab.core.arrow import booleans, floats, integers, scalar, strings

_TEXTS = ["", "adam", "ä€😀", "a\nb", "adam"]


@pytest.mark.parametrize("sliced", [slice(None), slice(3, None), slice(1, 2), slice(0, 0)])
def test_values_come_back(sliced: slice) -> None:
    import pyarrow as pa

    marks = pa.array([True, False, True, True, False] * 5)[sliced]
    assert booleans(marks).tolist() == marks.to_pylist()
    numbers = pa.array([1.5, None, float("inf"), -0.0, float("nan")] * 5, pa.float64())[sliced]
    assert np.array_equal(floats(numbers), numbers.to_numpy(zero_copy_only=False), equal_nan=True)
    whole = pa.array(range(25))[sliced]
    assert integers(whole).tolist() == whole.to_pylist()


def test_texts_are_those_of_pyarrow() -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    assert strings(_TEXTS).equals(pa.array(_TEXTS))
    for text in _TEXTS:
        assert scalar(text).as_py() == text
        assert booleans(pc.equal(strings(_TEXTS), scalar(text))).tolist() == [each == text for each in _TEXTS]


def test_a_query_does_not_import_pandas() -> None:
    """It takes a first query 0.12 s and 40 MB."""
    code = """
import sys
import numpy as np
from genops_lab.core.arrow import strings
from genops_lab.experiments.query import patterns
words = strings(["adam", "0.5", "x"])
patterns.equal(words, ["adam"]), patterns.equal(words, ["adam", "x"]), patterns.like(words, "a%", ignore_case=False)
patterns.like(words, "adam", ignore_case=False), patterns.numbers(words), patterns.containing(words, "A")
patterns.matching(words, "a+"), patterns.beginning(words, "a"), patterns.regex_fault("(")
assert patterns.numbers(words).tolist()[1] == 0.5
sys.exit("pandas" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
