"""Compute an operator's work from its shapes: multiplications, bytes, and the matrices behind it.

Advice compares this work with a device's speed, so it covers more operators than an MFU may count.
``efficiency/flops.py`` counts as PyTorch does: only products, and nothing where an input is not known. This
module also counts element-wise operators, other libraries' kernels, and half of attention under a causal
mask. A test checks that both agree on products.
"""

from __future__ import annotations

import json
import math
import re
from typing import Literal, NamedTuple

Family = Literal["matmul", "convolution", "attention", "experts", "pointwise", "normalization", "reduction"]

_BITS = {
    "double": 64,
    "long": 64,
    "long int": 64,
    "float": 32,
    "int": 32,
    "half": 16,
    "bfloat16": 16,
    "short": 16,
    "bool": 8,
    "byte": 8,
    "char": 8,
    "unsigned char": 8,
    "signed char": 8,
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_POINTWISE = _names(
    """
    add add_ sub sub_ mul mul_ div div_ relu relu_ gelu silu silu_ sigmoid sigmoid_ tanh tanh_ exp log sqrt
    rsqrt pow neg abs clamp clamp_ where dropout native_dropout leaky_relu leaky_relu_ hardtanh_ addcmul
    addcmul_ addcdiv_ lerp_ maximum minimum threshold_backward gelu_backward silu_backward sigmoid_backward
    tanh_backward masked_fill masked_fill_ sin cos copy_ clone contiguous fill_ zero_ softplus elu mish
    hardswish erf reciprocal square bitwise_and bitwise_or eq ne lt gt le ge glu
    """
)
_NORMALIZATIONS = _names(
    """
    layer_norm native_layer_norm rms_norm _fused_rms_norm batch_norm native_batch_norm cudnn_batch_norm
    miopen_batch_norm group_norm native_group_norm instance_norm softmax _softmax log_softmax _log_softmax
    normalize
    """
)
_REDUCTIONS = _names(
    """
    sum mean max min amax amin argmax argmin prod std var var_mean norm linalg_vector_norm logsumexp any all
    cumsum count_nonzero
    """
)
_MATMULS = frozenset(("mm", "addmm", "bmm", "baddbmm", "linear", "matmul", "_scaled_mm", "mv", "_int_mm"))
_CONVOLUTIONS = re.compile(
    r"conv[123]d|convolution|_convolution|(cudnn|miopen)_convolution(_relu|_add_relu)?"
    r"|convolution_backward|(cudnn|miopen)_convolution_backward"
)
_ATTENTION = re.compile(
    r"scaled_dot_product|flash_attn|flash_attention|efficient_attention|fmha|cudnn_attention"
)
_EXPERTS = re.compile(r"moe|fused_experts|grouped_mm|grouped_gemm", re.IGNORECASE)
# Inference engines have their own norms: vllm::rms_norm, _C::rms_norm, aiter::rmsnorm2d_fwd.
_OTHER_NORMS = re.compile(r"(?!aten::)\w+::(rms_?norm|layer_?norm)(2d)?(_fwd)?", re.IGNORECASE)
_TRITON = re.compile(r"triton_(poi|red|per)_fused")
_INTS = re.compile(r"-?\d+")


class Matrices(NamedTuple):
    """``batch`` products of [rows, inner] by [inner, columns]."""

    batch: int
    rows: int
    columns: int
    inner: int


class Work(NamedTuple):
    """One call's work. ``bits`` is the size of an operand's number."""

    family: Family
    flops: float
    bytes: float
    bits: int
    matrices: Matrices | None = None
    #: A convolution with one group for each channel.
    depthwise: bool = False
    #: For experts: mean rows that each expert multiplies.
    rows_an_expert: float = 0.0


class Call(NamedTuple):
    """An operator's arguments, as recorded in the trace."""

    name: str
    dims: list[list[int]]
    types: list[str]
    concrete: list[str]

    @staticmethod
    def of(name: str, dims: str, types: str, concrete: str) -> Call:
        """Parse the JSON texts of a trace; malformed entries are left out."""
        return Call(
            name,
            [
                [n for n in each if isinstance(n, int)] if isinstance(each, list) else []
                for each in _list(dims)
            ],
            [each if isinstance(each, str) else "" for each in _list(types)],
            [each if isinstance(each, str) else "" for each in _list(concrete)],
        )

    def bits(self, number: int) -> int:
        """Return the bits of a number of the argument; 0 when the argument is not a tensor."""
        name = self.types[number].split("::")[-1].lower() if number < len(self.types) else ""
        if name.startswith("float8"):
            return 8
        return _BITS.get(name, 0)

    def size(self, number: int) -> float:
        """Return the bytes of a tensor."""
        return math.prod(self.dims[number]) * self.bits(number) / 8 if self.dims[number] else 0.0

    def numbers(self, number: int) -> list[int]:
        """Return a list argument, recorded as ``"[1, 1]"`` or ``"(1,1)"``."""
        return (
            [int(each) for each in _INTS.findall(self.concrete[number])]
            if number < len(self.concrete)
            else []
        )


def is_known(name: str) -> bool:
    """Return whether ``work_of`` may know an operator of this name."""
    plain = name.removeprefix("aten::")
    return (
        plain in _POINTWISE
        or plain in _NORMALIZATIONS
        or plain in _REDUCTIONS
        or plain in _MATMULS
        or _CONVOLUTIONS.fullmatch(plain) is not None
        or _ATTENTION.search(name) is not None
        or _TRITON.match(name) is not None
        or _OTHER_NORMS.fullmatch(name) is not None
        or is_experts(name)
    )


def is_experts(name: str) -> bool:
    """Return whether the operator computes the products of many experts."""
    return _EXPERTS.search(name) is not None


def work_of(call: Call) -> Work | None:
    """Return the work of a call, or None when the shapes are not enough."""
    plain = call.name.removeprefix("aten::")
    if is_experts(call.name):
        return _experts(call)
    if _ATTENTION.search(call.name):
        return _attention(call)
    if plain in _MATMULS:
        return _matmul(plain, call)
    if _CONVOLUTIONS.fullmatch(plain):
        return _convolution_backward(plain, call) if plain.endswith("backward") else _convolution(plain, call)
    tensors = [number for number in range(len(call.dims)) if call.dims[number] and call.bits(number)]
    if not tensors:
        return None
    sizes = [call.size(number) for number in tensors]
    bits = call.bits(tensors[0])
    elements = max(math.prod(call.dims[number]) for number in tensors)
    if _TRITON.match(call.name):
        # Inputs and outputs are both arguments.
        family: Family = "pointwise" if "_poi_" in call.name else "reduction"
        return Work(family, elements, sum(sizes), bits)
    if plain in _POINTWISE:
        # In-place operators write to their input; fills read nothing.
        reads = sum(sizes[1:]) if plain in ("copy_",) else 0.0 if plain in ("fill_", "zero_") else sum(sizes)
        return Work("pointwise", elements, reads + max(sizes), bits)
    if plain in _NORMALIZATIONS or _OTHER_NORMS.fullmatch(call.name):
        # Batch statistics need the whole input, so the input is read again to be normalised.
        passes = 3 if re.search("batch_norm|group_norm|instance_norm", plain) else 2
        return Work("normalization", 5.0 * elements, passes * sizes[0], bits)
    return Work("reduction", elements, sizes[0] * (2 if plain == "cumsum" else 1), bits)


def _matmul(plain: str, call: Call) -> Work | None:
    first = 1 if plain in ("addmm", "baddbmm") else 0
    if len(call.dims) < first + 2:
        return None
    left, right = call.dims[first], call.dims[first + 1]
    bits = call.bits(first)
    if not bits or not left or not right:
        return None
    if plain == "linear":
        if len(right) != 2:
            return None
        batch, rows, inner, columns = 1, math.prod(left[:-1]), left[-1], right[0]
    elif plain == "mv" or len(right) == 1:
        batch, rows, inner, columns = 1, math.prod(left[:-1]), left[-1], 1
    elif len(left) == 1:
        batch, rows, inner, columns = math.prod(right[:-2]), 1, left[0], right[-1]
    else:
        rows, inner, columns = left[-2], left[-1], right[-1]
        batch = math.prod(left[:-2])
        if len(right) == 2 and batch > 1:
            # The batch is folded into the rows.
            batch, rows = 1, batch * rows
    return _of_matrices("matmul", Matrices(batch, rows, columns, inner), bits)


def _of_matrices(family: Family, found: Matrices, bits: int) -> Work:
    batch, rows, columns, inner = found
    size = batch * (rows * inner + inner * columns + rows * columns) * bits / 8
    return Work(family, 2.0 * batch * rows * columns * inner, size, bits, found)


def _convolution(plain: str, call: Call) -> Work | None:
    if len(call.dims) < 2 or len(call.dims[0]) < 3 or len(call.dims[1]) != len(call.dims[0]):
        return None
    data, weight, bits = call.dims[0], call.dims[1], call.bits(0)
    if not bits or ("True" in call.concrete[6:7] and plain in ("convolution", "_convolution")):
        return None
    stride, padding, dilation = (
        call.numbers(number) or [default] for number, default in ((3, 1), (4, 0), (5, 1))
    )
    out = []
    for place, (length, kernel) in enumerate(zip(data[2:], weight[2:], strict=True)):
        step, pad, spread = (each[min(place, len(each) - 1)] for each in (stride, padding, dilation))
        out.append(max(1, (length + 2 * pad - spread * (kernel - 1) - 1) // max(step, 1) + 1))
    pixels, taps = data[0] * math.prod(out), weight[1] * math.prod(weight[2:])
    size = (math.prod(data) + math.prod(weight) + pixels * weight[0]) * bits / 8
    groups = data[1] // weight[1] if weight[1] else 1
    found = Matrices(1, pixels, max(1, weight[0] // max(groups, 1)), taps)
    return Work(
        "convolution",
        2.0 * pixels * weight[0] * taps,
        size,
        bits,
        found,
        depthwise=weight[1] == 1 and data[1] > 1,
    )


def _convolution_backward(plain: str, call: Call) -> Work | None:
    """Count two products of the forward's size: for the input and for the weight."""
    if len(call.dims) < 3 or any(len(dims) < 3 or len(dims) != len(call.dims[0]) for dims in call.dims[:3]):
        return None
    first, second, weight = call.dims[:3]
    gradient, data = (first, second) if plain == "convolution_backward" else (second, first)
    bits = call.bits(0)
    if not bits or not weight[1]:
        return None
    pixels, taps = gradient[0] * math.prod(gradient[2:]), math.prod(weight[1:])
    size = 2 * (math.prod(data) + math.prod(weight) + math.prod(gradient)) * bits / 8
    groups = max(1, data[1] // weight[1])
    found = Matrices(1, pixels, max(1, weight[0] // groups), taps)
    depthwise = weight[1] == 1 and data[1] > 1
    return Work("convolution", 4.0 * pixels * weight[0] * taps, size, bits, found, depthwise)


def _attention(call: Call) -> Work | None:
    """Count attention. Forward: two products of queries and keys, 4 FLOPs per pair and channel. Backward:
    five such products."""
    tensors = [dims for dims in call.dims if len(dims) == 4]
    backward = "backward" in call.name or "bwd" in call.name
    if backward:
        tensors = tensors[1:]
    if len(tensors) < 3:
        return None
    query, key, value = tensors[:3]
    # The kernels' own entry points have [batch, sequence, heads, channels].
    sequence_first = (
        re.search(r"_flash_attention|_efficient_attention|flash_attn|fmha", call.name) is not None
    )
    queries, keys = (query[1], key[1]) if sequence_first else (query[2], key[2])
    heads, kv_heads = (query[2], key[2]) if sequence_first else (query[1], key[1])
    if "scaled_dot_product" in call.name:
        queries, keys, heads, kv_heads = query[2], key[2], query[1], key[1]
    bits = max(
        (call.bits(number) for number in range(len(call.dims)) if len(call.dims[number]) == 4), default=0
    )
    if not bits:
        return None
    # These have "compute_log_sumexp", which training sets, before "is_causal".
    after = re.search(r"_scaled_dot_product_(efficient|cudnn)_attention", call.name) is not None
    causal = "True" in call.concrete[6 if after else 4 : 7] and queries > 1
    pairs = query[0] * heads * queries * keys * (0.5 if causal else 1.0)
    flops = 2.0 * pairs * (query[3] + value[3]) * (2.5 if backward else 1.0)
    size = query[0] * (2 * queries * heads * query[3] + 2 * keys * kv_heads * key[3]) * bits / 8
    return Work("attention", flops, size * (2 if backward else 1), bits)


def _experts(call: Call) -> Work | None:
    """Count [tokens, inner] times weights [experts, ., .]; [tokens, chosen] gives the experts per token."""
    weights = [number for number, dims in enumerate(call.dims) if len(dims) == 3]
    tokens = next((dims for dims in call.dims if len(dims) == 2), None)
    if not weights or tokens is None or not call.bits(weights[0]):
        return None
    experts = call.dims[weights[0]][0]
    chosen = next(
        (dims[1] for dims in call.dims[1:] if len(dims) == 2 and dims[0] == tokens[0] and dims[1] <= experts),
        1,
    )
    rows = tokens[0] * chosen
    flops = sum(2.0 * rows * math.prod(call.dims[number][1:]) for number in weights)
    used = min(experts, rows) / experts if experts else 0.0
    size = sum(call.size(number) for number in weights) * used
    return Work(
        "experts", flops, size, call.bits(weights[0]), rows_an_expert=rows / experts if experts else 0.0
    )


def _list(text: str) -> list[object]:
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return []
    return found if isinstance(found, list) else []
