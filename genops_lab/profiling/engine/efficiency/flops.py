"""Count FLOPs and bytes of one operator call from its shapes.

A multiplication with its addition counts as two FLOPs. The formulas are those of
``torch.utils.flop_counter``; a causal mask does not reduce attention. Only products count FLOPs: matrices,
convolutions, attention. Bytes are the least that must move: each input is read once, each output is written
once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

Shape = list[int]

_SIZES = {
    "float": 4,
    "double": 8,
    "half": 2,
    "bfloat16": 2,
    "long int": 8,
    "long": 8,
    "int": 4,
    "short": 2,
    "bool": 1,
    "unsigned char": 1,
    "signed char": 1,
    "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2": 1,
    "float8_e5m2fnuz": 1,
}
_DTYPES = {"float": "fp32", "double": "fp64", "half": "fp16", "bfloat16": "bf16", "signed char": "int8"}


class Work(NamedTuple):
    """The work of one call; ``dtype`` is named as in peaks, "" where no data sheet has it."""

    flops: float
    bytes: float
    dtype: str


class Inputs(NamedTuple):
    """An operator's inputs in a Kineto trace."""

    dims: list[Any]
    types: list[str]
    values: list[str]

    def shape(self, place: int) -> Shape:
        """Return a tensor's shape. Raises ValueError for another argument."""
        found = self.dims[place]
        if not isinstance(found, list) or not found or not all(_is_size(each) for each in found):
            raise ValueError
        return found

    def size(self, place: int) -> int:
        """Return the bytes of an element. Raises KeyError."""
        return _SIZES[_plain(self.types[place])]

    def bytes(self, *places: int) -> int:
        """Return the bytes of tensors."""
        return sum(prod(self.shape(place)) * self.size(place) for place in places)

    def numbers(self, place: int, count: int) -> list[int]:
        """Return the list ``[1, 1]`` or ``(1,1)``; a single number stands for all entries. Raises
        ValueError."""
        found = [int(each) for each in self.values[place].strip("[]() ").split(",")]
        if len(found) not in (1, count):
            raise ValueError
        return found * count if len(found) == 1 else found

    def tensors(self) -> list[int]:
        """Return the positions of all tensors with a known type; scalar tensors have no shape and do not
        count."""
        return [
            place
            for place, shape in enumerate(self.dims)
            if isinstance(shape, list)
            and shape
            and place < len(self.types)
            and _plain(self.types[place]) in _SIZES
        ]


def work(name: str, dims: str, types: str, values: str = "") -> Work | None:
    """Return the work of an operator with inputs as JSON; None where its formula or an input is not known."""
    formula = _FORMULAS.get(name)
    if formula is None:
        return None
    try:
        inputs = Inputs(
            _list(dims), [str(each) for each in _list(types)], [str(each) for each in _list(values)]
        )
        tensors = inputs.tensors()
        flops, moved = formula(inputs)
        return Work(float(flops), float(moved), _dtype(inputs.types[tensors[0]]))
    except (ValueError, KeyError, IndexError, TypeError):
        # The shapes are invalid for this operator, or inputs are missing in the trace.
        return None


def _list(text: str) -> list[Any]:
    found = json.loads(text) if text else []
    return found if isinstance(found, list) else []


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 48


def _plain(type_: str) -> str:
    return type_.removeprefix("c10::").lower()


def _dtype(type_: str) -> str:
    plain = _plain(type_)
    return "fp8" if plain.startswith("float8") else _DTYPES.get(plain, "")


Formula = Callable[[Inputs], tuple[float, float]]


def _product(left: int, right: int) -> Formula:
    """Count matrices ``[..., m, k]`` and ``[..., k, n]``, single or in batches of one size."""

    def formula(inputs: Inputs) -> tuple[float, float]:
        a, b = inputs.shape(left), inputs.shape(right)
        if len(a) < 2 or len(a) != len(b) or a[-1] != b[-2] or a[:-2] != b[:-2]:
            raise ValueError
        out = prod(a[:-1]) * b[-1]
        return 2 * out * a[-1], inputs.bytes(left, right) + out * inputs.size(left)

    return formula


def _linear(inputs: Inputs) -> tuple[float, float]:
    x, weight = inputs.shape(0), inputs.shape(1)
    if len(weight) != 2 or x[-1] != weight[1]:
        raise ValueError
    out = prod(x[:-1]) * weight[0]
    return 2 * out * x[-1], inputs.bytes(0, 1) + out * inputs.size(0)


def _matmul(inputs: Inputs) -> tuple[float, float]:
    a, b = inputs.shape(0), inputs.shape(1)
    rows, columns = ([1, *a] if len(a) == 1 else a), ([*b, 1] if len(b) == 1 else b)
    if rows[-1] != columns[-2]:
        raise ValueError
    out = prod(_broadcast([rows[:-2], columns[:-2]])) * rows[-2] * columns[-1]
    return 2 * out * rows[-1], inputs.bytes(0, 1) + out * inputs.size(0)


def _grouped(inputs: Inputs) -> tuple[float, float]:
    """Count ``_grouped_mm``: the groups divide one dimension, so their sum does not depend on the
    division."""
    a, b = inputs.shape(0), inputs.shape(1)
    if len(a) == 3 and len(b) == 3:
        return _product(0, 1)(inputs)
    if a[-1] != b[-2] or len(a) != 2:
        raise ValueError
    out = a[0] * b[-1]
    return 2 * out * a[1], inputs.bytes(0, 1) + out * inputs.size(0)


class _Arguments(NamedTuple):
    """Positions of a convolution's arguments; None: it uses the default."""

    stride: int | None
    padding: int
    dilation: int | None
    transposed: int | None = None
    output_padding: int | None = None
    always_transposed: bool = False


def _convolution(places: _Arguments) -> Formula:
    """Count ``[N, C, *]`` by ``[out, C / groups, *]``. The output size follows from stride, padding and
    dilation."""

    def formula(inputs: Inputs) -> tuple[float, float]:
        x, weight = inputs.shape(0), inputs.shape(1)
        count = len(weight) - 2
        if len(x) != len(weight) or count < 1:
            raise ValueError
        ones = [1] * count
        stride = ones if places.stride is None else inputs.numbers(places.stride, count)
        dilation = ones if places.dilation is None else inputs.numbers(places.dilation, count)
        padding = inputs.numbers(places.padding, count)
        transposed = places.always_transposed or _true(inputs, places.transposed)
        reach = [each * (size - 1) for each, size in zip(dilation, weight[2:], strict=True)]
        if transposed:
            more = (
                [0] * count if places.output_padding is None else inputs.numbers(places.output_padding, count)
            )
            space = [
                (size - 1) * step - 2 * pad + far + extra + 1
                for size, step, pad, far, extra in zip(x[2:], stride, padding, reach, more, strict=True)
            ]
        else:
            space = [
                (size + 2 * pad - far - 1) // step + 1
                for size, step, pad, far in zip(x[2:], stride, padding, reach, strict=True)
            ]
        if min(space) < 1:
            raise ValueError
        # A transposed weight is [in, out / groups, *]; without the groups its channels are not known.
        channels = weight[1] if transposed else weight[0]
        out = x[0] * channels * prod(space)
        flops = _convolved(x[0], x[2:] if transposed else space, weight)
        return flops, inputs.bytes(0, 1) + out * inputs.size(0)

    return formula


def _convolved(batch: int, space: Shape, weight: Shape) -> float:
    return 2 * batch * prod(space) * prod(weight)


def _convolution_backward(inputs: Inputs) -> tuple[float, float]:
    gradient, x, weight = inputs.shape(0), inputs.shape(1), inputs.shape(2)
    one = _convolved(x[0], x[2:] if _true(inputs, 7) else gradient[2:], weight)
    wanted = [each.strip() == "True" for each in inputs.values[10].strip("[]() ").split(",")]
    if len(wanted) < 2:
        raise ValueError
    moved = inputs.bytes(0, 1, 2) + wanted[0] * inputs.bytes(1) + wanted[1] * inputs.bytes(2)
    return one * (wanted[0] + wanted[1]), moved


def _input_gradient(inputs: Inputs) -> tuple[float, float]:
    """Count ``cudnn_convolution_backward_input(sizes, gradient, weight)``, whose arguments have no more."""
    gradient, weight = inputs.shape(1), inputs.shape(2)
    return _convolved(gradient[0], gradient[2:], weight), inputs.bytes(1, 2)


def _true(inputs: Inputs, place: int | None) -> bool:
    if place is None:
        return False
    if inputs.values[place] not in ("True", "False"):
        raise ValueError
    return inputs.values[place] == "True"


def _attention(first: int, *, heads_first: bool, backward: bool = False) -> Formula:
    """Count attention. Queries, keys and values begin at ``first``: ``[batch, heads, length, size]``, or with
    length before heads.

    Backward: the scores again, and four products of their size (as in flash attention).
    """

    def formula(inputs: Inputs) -> tuple[float, float]:
        q, k, v = (inputs.shape(place) for place in range(first, first + 3))
        if len(q) != 4 or len(k) != 4 or len(v) != 4:
            raise ValueError
        heads, length = (1, 2) if heads_first else (2, 1)
        scores = q[0] * q[heads] * q[length] * k[length]
        qkv, out = inputs.bytes(first, first + 1, first + 2), prod(q[:3]) * v[3] * inputs.size(first)
        if backward:
            return 2 * scores * (3 * q[3] + 2 * v[3]), 2 * qkv + 2 * out
        return 2 * scores * (q[3] + v[3]), qkv + out

    return formula


def _pointwise(inputs: Inputs) -> tuple[float, float]:
    places = inputs.tensors()
    out = prod(_broadcast([inputs.shape(place) for place in places]))
    return 0, inputs.bytes(*places) + out * inputs.size(places[0])


def _copy(inputs: Inputs) -> tuple[float, float]:
    return 0, inputs.bytes(0) + prod(inputs.shape(0)) * inputs.size(1)


def _like_the_first(inputs: Inputs) -> tuple[float, float]:
    """Count an operator that reads its tensors and writes one like the first: in place, or normalised."""
    return 0, inputs.bytes(*inputs.tensors()) + inputs.bytes(0)


def _first(inputs: Inputs) -> tuple[float, float]:
    """Count an operator that writes or reads one tensor. The smaller output of a reduction does not follow
    from the shapes."""
    return 0, inputs.bytes(0)


def _rows(inputs: Inputs) -> tuple[float, float]:
    """Count ``embedding(weight [rows, size], indices)``: the rows that it reads, not the table."""
    size, wanted = inputs.shape(0)[1:], inputs.shape(1)
    return 0, inputs.bytes(1) + 2 * prod(wanted) * prod(size) * inputs.size(0)


def _broadcast(shapes: list[Shape]) -> Shape:
    out: Shape = []
    for shape in shapes:
        longest = max(len(out), len(shape))
        padded = [[1] * (longest - len(each)) + each for each in (out, shape)]
        out = [max(pair) if 0 not in pair else 0 for pair in zip(*padded, strict=True)]
    return out


_POINTWISE = (
    *(
        "add",
        "sub",
        "mul",
        "div",
        "relu",
        "clamp",
        "clamp_min",
        "clamp_max",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
    ),
    *("exp", "log", "sqrt", "rsqrt", "reciprocal", "pow", "neg", "abs", "sin", "cos", "leaky_relu", "elu"),
    *("masked_fill", "maximum", "minimum", "addcmul", "addcdiv", "lerp", "hardtanh", "hardswish", "erf"),
)
_GRADIENTS = (
    *("threshold", "gelu", "silu", "sigmoid", "tanh", "leaky_relu", "elu", "hardtanh", "hardswish"),
)
_FORMULAS: dict[str, Formula] = {
    **{f"aten::{name}": _pointwise for name in _POINTWISE},
    **{f"aten::{name}_": _like_the_first for name in _POINTWISE},
    **{f"aten::{name}_backward": _pointwise for name in _GRADIENTS},
    **{f"aten::{name}": _first for name in ("sum", "mean", "amax", "amin", "linalg_vector_norm", "var")},
    **{
        f"aten::{name}": _like_the_first
        for name in (
            *("_softmax", "_log_softmax", "_softmax_backward_data", "_log_softmax_backward_data"),
            *("native_layer_norm", "native_layer_norm_backward", "native_group_norm", "native_batch_norm"),
            *(
                "cudnn_batch_norm",
                "cudnn_batch_norm_backward",
                "miopen_batch_norm",
                "miopen_batch_norm_backward",
            ),
            *("native_batch_norm_backward", "_fused_rms_norm"),
        )
    },
    "aten::copy_": _copy,
    "aten::fill_": _first,
    "aten::zero_": _first,
    "aten::embedding": _rows,
    "aten::mm": _product(0, 1),
    "aten::_scaled_mm": _product(0, 1),
    "aten::_int_mm": _product(0, 1),
    "aten::bmm": _product(0, 1),
    "aten::addmm": _product(1, 2),
    "aten::_addmm_activation": _product(1, 2),
    "aten::baddbmm": _product(1, 2),
    "aten::linear": _linear,
    "aten::matmul": _matmul,
    "aten::_grouped_mm": _grouped,
    "aten::convolution": _convolution(_Arguments(3, 4, 5, 6, 7)),
    "aten::_convolution": _convolution(_Arguments(3, 4, 5, 6, 7)),
    "aten::cudnn_convolution": _convolution(_Arguments(3, 2, 4)),
    "aten::cudnn_convolution_transpose": _convolution(_Arguments(4, 2, 5, None, 3, always_transposed=True)),
    "aten::miopen_convolution": _convolution(_Arguments(4, 3, 5)),
    "aten::miopen_depthwise_convolution": _convolution(_Arguments(4, 3, 5)),
    "aten::mkldnn_convolution": _convolution(_Arguments(4, 3, 5)),
    "aten::_conv_depthwise2d": _convolution(_Arguments(4, 5, 6)),
    "aten::_slow_conv2d_forward": _convolution(_Arguments(4, 5, None)),
    "aten::convolution_backward": _convolution_backward,
    "aten::cudnn_convolution_backward_input": _input_gradient,
    "aten::_flash_attention_forward": _attention(0, heads_first=False),
    "aten::_flash_attention_backward": _attention(1, heads_first=False, backward=True),
    "aten::_efficient_attention_forward": _attention(0, heads_first=False),
    "aten::_efficient_attention_backward": _attention(1, heads_first=False, backward=True),
    "flash_attn::_flash_attn_forward": _attention(0, heads_first=False),
    "flash_attn::_flash_attn_backward": _attention(1, heads_first=False, backward=True),
    **{
        f"aten::_scaled_dot_product_{name}{ending}": _attention(
            1 if ending else 0, heads_first=True, backward=bool(ending)
        )
        for name in ("flash_attention", "efficient_attention", "cudnn_attention")
        for ending in ("", "_backward")
    },
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention(0, heads_first=True),
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention(
        1, heads_first=True, backward=True
    ),
}
