"""Names of Python frames and of markers."""

from __future__ import annotations

import pytest

from genops_lab.profiling.engine.attribution import frames, markers


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("train.py(12): forward", frames.Owner.USER),
        ("my_models/net.py(3): f", frames.Owner.USER),
        ("<ipython-input-3-8a4b>(4): f", frames.Owner.USER),
        ("/tmp/ipykernel_123/456.py(3): <module>", frames.Owner.USER),
        ("C:\\Users\\me\\train.py(3): f", frames.Owner.USER),
        ("/home/me/work/train.py(3): f", frames.Owner.USER),
        ("torch/nn/modules/module.py(1915): __getattr__", frames.Owner.MACHINERY),
        ("/opt/pytorch/torch/nn/functional.py(1): relu", frames.Owner.MACHINERY),
        ("contextlib.py(79): inner", frames.Owner.MACHINERY),
        ("<frozen importlib._bootstrap>(1): _find", frames.Owner.MACHINERY),
        ("<string>(1): <module>", frames.Owner.MACHINERY),
        ("<eval_with_key>.12(4): forward", frames.Owner.MACHINERY),
        ("/usr/lib/python3.10/threading.py(1): run", frames.Owner.MACHINERY),
        ("/e/lib/python3.7/site-packages/torch/optim/sgd.py(117): step", frames.Owner.MACHINERY),
        ("/e/lib/python3.7/site-packages/torchvision/models/resnet.py(249): forward", frames.Owner.LIBRARY),
        ("/e/lib/python3.7/site-packages/somebody/x.py(1): f", frames.Owner.LIBRARY),
        ("transformers/models/owlv2/modeling_owlv2.py(3): f", frames.Owner.LIBRARY),
    ],
)
def test_whose_code_a_frame_is(name: str, owner: frames.Owner) -> None:
    frame = frames.parse(name)
    assert frame is not None
    assert frame.owner == owner


@pytest.mark.parametrize(
    "name", ["nn.Module: Linear_0", "<built-in method add of type object at 0x7f>", "", "f(): x"]
)
def test_what_is_no_frame(name: str) -> None:
    assert frames.parse(name) is None


def test_names_of_markers_come_back() -> None:
    for name in ("0f3a-cell_id", "train.py", "/home/me/a b:c%.py", "In[3]", "ünï"):
        assert markers.parse(markers.line_marker(name, 12)) == (name, 12)
        assert markers.parse(markers.cell_marker(name)) == (name, markers.WHOLE_CELL)
    assert markers.Marker("0f3a-cell_id", 1).is_cell
    assert not markers.Marker("In[3]", 1).is_cell
    for name in (
        "genops:line:a",
        "genops:line:a:0",
        "genops:line:a:b",
        "genops:cell:",
        "x genops:cell:a",
        "genops:cell:a:b",
    ):
        assert markers.parse(name) is None
