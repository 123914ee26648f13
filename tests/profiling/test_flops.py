"""FLOPs by shapes against torch's own counter, on real profiles of the CPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.profiling.engine.advice.shapes import Call, work_of
from genops_lab.profiling.engine.columns import NOTHING
from genops_lab.profiling.engine.efficiency.flops import work
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.nesting import parents
from genops_lab.profiling.engine.reading import kineto

from .traced import profiled

if TYPE_CHECKING:
    import torch


def counted(path: Path) -> float:
    """FLOPs of the operators of a trace that lie in none that has some, from outside: of a call each is told once."""
    columns = kineto.read(path)
    around = parents(columns, [Kind.OPERATOR])
    texts = {
        column: dict(zip(sparse.index.tolist(), sparse.value.tolist(), strict=True))
        for column, sparse in columns.sparse.items()
    }
    total = 0.0
    flops = np.zeros(len(columns))
    for number in range(len(columns)):
        ours = [
            columns.texts[texts[column][number]] if number in texts.get(column, {}) else ""
            for column in ("dims", "types", "concrete")
        ]
        did = work(columns.names[columns.name[number]], *ours)
        flops[number] = did.flops if did else 0
    for number in np.flatnonzero(flops).tolist():
        above = around[number]
        while above != NOTHING and not flops[above]:
            above = around[above]
        if above == NOTHING:
            total += flops[number]
    return total


def ready(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    import torch

    return [torch.randn(shape, requires_grad=True) for shape in shapes]


#: By name: a call, given torch and tensors of these shapes.
CASES: dict[str, tuple[Callable[..., Any], list[tuple[int, ...]]]] = {
    "mm": (lambda torch, *tensors: torch.mm(*tensors), [(8, 16), (16, 4)]),
    "addmm": (lambda torch, *tensors: torch.addmm(*tensors), [(4,), (8, 16), (16, 4)]),
    "bmm": (lambda torch, *tensors: torch.bmm(*tensors), [(3, 8, 16), (3, 16, 4)]),
    "baddbmm": (lambda torch, *tensors: torch.baddbmm(*tensors), [(3, 8, 4), (3, 8, 16), (3, 16, 4)]),
    "linear": (lambda torch, *tensors: torch.nn.functional.linear(*tensors), [(2, 5, 16), (4, 16), (4,)]),
    "matmul": (lambda torch, *tensors: torch.matmul(*tensors), [(2, 3, 8, 16), (16, 4)]),
    "conv1d": (
        lambda torch, x, w: torch.nn.functional.conv1d(x, w, stride=2, padding=1),
        [(2, 3, 20), (6, 3, 3)],
    ),
    "conv2d": (
        lambda torch, x, w: torch.nn.functional.conv2d(x, w, stride=2, padding=1, dilation=2),
        [(2, 4, 20, 18), (6, 4, 3, 3)],
    ),
    "conv3d": (
        lambda torch, *tensors: torch.nn.functional.conv3d(*tensors),
        [(1, 2, 7, 8, 9), (3, 2, 2, 3, 2)],
    ),
    "transposed": (
        lambda torch, x, w: torch.nn.functional.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
        [(2, 4, 10, 9), (4, 6, 3, 3)],
    ),
}


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_same_numbers_as_torch(case: str, backward: bool, tmp_path: Path) -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    function, shapes = CASES[case]

    def run() -> None:
        out = function(torch, *ready(*shapes))
        if backward:
            torch.autograd.backward([out.sum()])

    with FlopCounterMode(display=False) as counter:
        run()
    expected = counter.get_total_flops()
    assert expected > 0
    path = tmp_path / "trace.json"
    profiled(run, path, stacks=False)
    assert counted(path) == expected


@pytest.mark.parametrize("causal", [False, True])
def test_attention_by_the_formulas_of_torch(causal: bool, tmp_path: Path) -> None:
    """torch's counter knows the operators of GPUs only, so its formulas are asked. Causal or not makes none."""
    import torch
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    attention = torch.nn.functional.scaled_dot_product_attention
    q, k, v = ready((2, 4, 32, 16), (2, 4, 48, 16), (2, 4, 48, 16))

    def run() -> None:
        torch.autograd.backward([attention(q, k, v, is_causal=causal).sum()])

    path = tmp_path / "trace.json"
    profiled(run, path, stacks=False)
    forward = sdpa_flop_count(q.shape, k.shape, v.shape)  # type: ignore[no-untyped-call]
    shapes = ((2, 4, 32, 16), q.shape, k.shape, v.shape)
    backward = sdpa_backward_flop_count(*shapes)  # type: ignore[no-untyped-call]
    assert counted(path) == forward + backward


def test_groups_divide_the_forward_pass(tmp_path: Path) -> None:
    """Backward, torch's counter does not divide by the groups; forward both do."""
    import torch

    path = tmp_path / "trace.json"
    x, weight = torch.randn(2, 8, 10, 10), torch.randn(8, 1, 3, 3)
    profiled(lambda: torch.nn.functional.conv2d(x, weight, groups=8), path, stacks=False)
    assert counted(path) == 2 * 2 * 8 * 8 * 8 * 9


BF16 = '["c10::BFloat16", "c10::BFloat16", "c10::BFloat16"]'


def test_operators_that_only_gpus_have() -> None:
    # Flash attention: length before heads. 2 products of 2 * 1 * 4 * 64 * 64 * 32.
    flash = work("aten::_flash_attention_forward", "[[1, 64, 4, 32], [1, 64, 4, 32], [1, 64, 4, 32]]", BF16)
    assert flash is not None
    assert flash.flops == 2 * (2 * 4 * 64 * 64 * 32)
    assert flash.bytes == 4 * (64 * 4 * 32) * 2
    assert flash.dtype == "bf16"
    grouped = work("aten::_grouped_mm", "[[100, 16], [5, 16, 8]]", BF16)
    assert grouped is not None
    assert grouped.flops == 2 * 100 * 16 * 8
    # The output of an old convolution does not follow from its inputs' shapes; that of its gradient is told.
    assert work("aten::cudnn_convolution", "[[2, 3, 8, 8], [4, 3, 3, 3], []]", '["float", "float"]') is None
    old = work(
        "aten::cudnn_convolution_backward_input", "[[], [2, 4, 6, 6], [4, 3, 3, 3]]", '["", "float", "float"]'
    )
    assert old is not None
    assert old.flops == 2 * 2 * 36 * 4 * 3 * 9


def test_bytes_of_what_has_no_flops() -> None:
    floats = '["float", "float", "Scalar"]'
    assert work("aten::add", "[[8, 4], [4], []]", floats) == (0, (32 + 4 + 32) * 4, "fp32")
    assert work("aten::add_", "[[8, 4], [8, 4], []]", floats) == (0, 3 * 32 * 4, "fp32")
    assert work("aten::fill_", "[[8, 4], []]", floats) == (0, 32 * 4, "fp32")
    assert work("aten::copy_", "[[8, 4], [8, 4], []]", '["c10::Half", "float", "Scalar"]') == (
        0,
        32 * 6,
        "fp16",
    )
    rows = work("aten::embedding", "[[50000, 64], [10]]", '["float", "long int"]')
    assert rows == (0, 10 * 8 + 2 * 10 * 64 * 4, "fp32")


@pytest.mark.parametrize(
    ("name", "dims", "types"),
    [
        ("aten::mm", "[[8, 16], [4, 4]]", BF16),
        ("aten::mm", "[[8, 16]]", BF16),
        ("aten::mm", "[[8, -16], [-16, 4]]", BF16),
        ("aten::mm", '[[8, "x"], [16, 4]]', BF16),
        ("aten::mm", "[[8, 16], [16, 4]]", '["what", "ever"]'),
        ("aten::mm", "not json", BF16),
        ("aten::mm", "{}", "7"),
        ("aten::bmm", "[[1], [1]]", BF16),
        ("aten::add", "[[], []]", BF16),
        ("aten::convolution", "[[2, 3, 8, 8], [4, 3, 3, 3]]", BF16),
        ("aten::whatever", "[[8, 16], [16, 4]]", BF16),
    ],
)
def test_nothing_is_made_up(name: str, dims: str, types: str) -> None:
    assert work(name, dims, types) is None


sizes = st.integers(1, 40)
TYPES = st.sampled_from(["float", "c10::Half", "c10::BFloat16", "double"])


@st.composite
def products(draw: st.DrawFn) -> tuple[str, list[Any], list[str]]:
    """An operator that multiplies, its shapes and its scalars."""
    batch, rows, inner, columns = (draw(sizes) for _ in range(4))
    a, b, bias = [rows, inner], [inner, columns], [columns]
    name, dims = draw(
        st.sampled_from(
            [
                ("aten::mm", [a, b]),
                ("aten::addmm", [bias, a, b]),
                ("aten::bmm", [[batch, *a], [batch, *b]]),
                ("aten::baddbmm", [[batch, rows, columns], [batch, *a], [batch, *b]]),
                ("aten::linear", [[batch, *a], b[::-1], bias]),
                ("aten::convolution", []),
            ]
        )
    )
    if dims:
        return name, dims, []
    kernel, stride, padding, groups = (draw(st.integers(1, 3)) for _ in range(4))
    image = [batch, groups * inner, rows + 6, columns + 6]
    values = [
        "",
        "",
        "",
        f"[{stride}, {stride}]",
        f"[{padding}, {padding}]",
        "[1, 1]",
        "False",
        "[0, 0]",
        f"{groups}",
    ]
    return name, [image, [groups * 2, inner, kernel, kernel], [], [], [], [], [], [], []], values


@given(products(), TYPES)
def test_advice_and_roofline_say_the_same_of_products(
    product: tuple[str, list[Any], list[str]], its_type: str
) -> None:
    name, dims, values = product
    texts = json.dumps(dims), json.dumps([its_type if each else "" for each in dims]), json.dumps(values)
    counted, ours = work(name, *texts), work_of(Call.of(name, *texts))
    assert counted is not None
    assert ours is not None
    assert (ours.flops, ours.bytes) == (counted.flops, counted.bytes)
