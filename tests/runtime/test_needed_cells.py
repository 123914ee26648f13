"""Which earlier cells a sweep's trials run first."""

from __future__ import annotations

import pytest

from genops_lab.runtime.needed_cells import Needed, needed_cells
from genops_lab.runtime.setup_cells import Setup, earlier_cell


def needed(cells: list[str], cell: str, *given: str) -> Needed:
    from IPython.core.inputtransformer2 import TransformerManager

    earlier = [earlier_cell(source, f"[{number}]") for number, source in enumerate(cells, 1)]
    return needed_cells(earlier, cell, given, TransformerManager().transform_cell)


@pytest.mark.parametrize(
    ("cells", "cell", "whole"),
    [
        (["data = 1", "other = 2"], "print(data)", ["[1]"]),
        (["raw = 1", "data = raw + 1", "plot(data)"], "print(data)", ["[1]", "[2]"]),
        (["def f():\n    return g()", "def g():\n    return n", "n = 1"], "f()", ["[1]", "[2]", "[3]"]),
        (["seen = []", "seen.append(1)", "table = {}", "table['a'] = 1"], "print(seen)", ["[1]", "[2]"]),
        (["x = 1"], "x = 2\nprint(x)", []),
        (["x = 1"], "x += 1", ["[1]"]),
        (["x = 1"], "for x in range(3):\n    print(x)", []),
        (["x = 1"], "print([x for x in range(3)])", []),
        (["x = 1"], "def f(x):\n    return x\nf(2)", []),
        (["lr = 0.1", "width = 3"], "train(lr, width)", ["[2]"]),
        (["class Net:\n    size = n", "n = 2"], "Net()", ["[1]", "[2]"]),
        (["with open('f') as file:\n    text = file.read()"], "print(text)", ["[1]"]),
        (["try:\n    import a\nexcept ImportError:\n    a = None"], "a", ["[1]"]),
        (["%%time\ndata = 1"], "data", ["[1]"]),
        (["this is no python"], "x = 1", ["[1]"]),
        (["data = await load()"], "data", ["[1]"]),
    ],
)
def test_cells_that_make_what_is_read(cells: list[str], cell: str, whole: list[str]) -> None:
    assert needed(cells, cell, "lr").whole == whole


def test_trainings_are_left_out_and_their_imports_and_seeds_are_not() -> None:
    found = needed(
        [
            "import os\nimport torch\ndata = torch.ones(3)",
            "%%track --name a\nimport genops\ntorch.manual_seed(1)\nmodel = train(data)",
            "%%profile\nstep(data)",
            "os.environ['OMP_NUM_THREADS'] = '1'\ntorch.set_num_threads(1)\n%env A=1\nslow()",
            "%%bash\nls",
            "import numpy as np",
        ],
        "genops.log({'x': float(data.sum())})",
    )
    assert found.whole == ["[1]"]
    assert found.in_part == ["[2]", "[4]", "[6]"]
    assert found.left_out == ["[2] tracked", "[3] profiled", "[4]", "[5]"]
    assert dict(found.sources)["[2] in part"] == "import genops\ntorch.manual_seed(1)"
    assert dict(found.sources)["[4] in part"].splitlines() == [
        "os.environ['OMP_NUM_THREADS'] = '1'",
        "torch.set_num_threads(1)",
        "get_ipython().run_line_magic('env', 'A=1')",
    ]
    assert found.missing == {}


def test_a_name_that_only_a_tracked_cell_makes_is_named() -> None:
    found = needed(["x = 1", "%%track\nmodel = x"], "print(model)")
    assert (found.whole, found.missing) == ([], {"model": "[2]"})
    text = Setup.of(found).summary()
    assert "Left out: [1], [2] tracked." in text and "--setup 1,3-5" in text
    assert "Trials may lack `model`: it is made in [2], which is left out" in text


def test_what_load_ext_gives_is_made_in_no_cell() -> None:
    found = needed(["%%track\ngenops.log({'x': 1})"], "genops.log({'x': 2})")
    assert (found.left_out, found.missing) == (["[1] tracked"], {})
