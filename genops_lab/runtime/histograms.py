"""Count values in bins of equal width, on the device that has the values.

torch counts a tensor on its own device, in portions, so that no large copy is made. numpy counts what numpy
accepts; Python counts the rest.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Dict, List, Tuple

from .errors import GenOpsError

DEFAULT_BINS, MAX_BINS = 64, 512
#: Values that torch counts at a time: float32 cannot count further.
_PORTION = 1 << 23
#: Differences beyond this are not finite; such values count as infinite.
_LARGEST, _LARGEST_FLOAT32 = 1e300, 1e38

Range = Tuple[float, float]


def histogram(values: Any, bins: int = DEFAULT_BINS) -> Dict[str, Any]:
    """Return ``{low, high, counts, nan, infinite}``; the last bin includes ``high``.

    If all values are the same, there is one bin without width. Raises GenOpsError.
    """
    if isinstance(bins, bool) or not isinstance(bins, int) or not 1 <= bins <= MAX_BINS:
        raise GenOpsError(
            f"bins={bins!r} is not a number of bins.", f"Give a whole number from 1 to {MAX_BINS}."
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        return _by_torch(torch, values, bins)
    if "numpy" in sys.modules or hasattr(values, "__array__"):
        return _by_numpy(values, bins)
    return _by_hand(values, bins)


def _answer(reach: Range, counts: List[int], nan: int, infinite: int) -> Dict[str, Any]:
    return {"low": reach[0], "high": reach[1], "counts": counts, "nan": nan, "infinite": infinite}


def _by_torch(torch: Any, values: Any, bins: int) -> Dict[str, Any]:
    if values.dtype.is_complex:
        raise GenOpsError("Complex numbers have no histogram.", "Give their absolute values.")
    flat = values.detach().reshape(-1)
    kind = torch.float64 if flat.dtype in (torch.float64, torch.int64, torch.int32) else torch.float32
    if flat.device.type == "mps":  # which has no float64
        kind = torch.float32
    largest = _LARGEST if kind is torch.float64 else _LARGEST_FLOAT32
    low, high, nan, finite = math.inf, -math.inf, 0, 0
    portions = flat.split(_PORTION) if flat.numel() else ()
    whole = []  # portions in which all values count: the usual case, without a mask
    for portion in portions:
        part = portion.to(kind)
        least, most = (float(bound) for bound in torch.aminmax(part))
        whole.append(-largest <= least <= most <= largest)
        if not whole[-1]:
            nan += int(torch.isnan(part).sum())
            part = part[part.abs() <= largest]
            if not part.numel():
                continue
            least, most = (float(bound) for bound in torch.aminmax(part))
        finite += part.numel()
        low, high = min(low, least), max(high, most)
    if not finite:
        return _answer((0.0, 0.0), [0], nan, flat.numel() - nan)
    infinite, reach = flat.numel() - nan - finite, (low, high)
    if low == high:
        return _answer(reach, [finite], nan, infinite)
    counts = torch.zeros(bins, dtype=torch.int64, device=flat.device)
    for portion, is_whole in zip(portions, whole):  # noqa: B905 - Python 3.8 has no strict
        part = portion.to(kind)
        kept = part if is_whole else part[part.abs() <= largest]
        counts += torch.histc(kept, bins, *reach).to(torch.int64)
    return _answer(reach, counts.tolist(), nan, infinite)


def _by_numpy(values: Any, bins: int) -> Dict[str, Any]:
    import numpy

    try:
        array = numpy.asarray(values)
        flat = array.reshape(-1) if array.dtype.kind in "biuf" else array.reshape(-1).astype(numpy.float64)
    except (TypeError, ValueError) as error:
        raise _no_numbers(values) from error
    flat = flat.astype(numpy.float64, copy=False)
    nan = int(numpy.isnan(flat).sum())
    kept = flat[numpy.abs(flat) <= _LARGEST]
    infinite = int(flat.size - nan - kept.size)
    if not kept.size:
        return _answer((0.0, 0.0), [0], nan, infinite)
    reach = (float(kept.min()), float(kept.max()))
    if reach[0] == reach[1]:
        return _answer(reach, [int(kept.size)], nan, infinite)
    try:
        counts, _ = numpy.histogram(kept, bins, reach)
    except ValueError:  # fewer numbers lie between the two than there are bins
        places = ((kept - reach[0]) / (reach[1] - reach[0]) * bins).astype(numpy.int64)
        counts = numpy.bincount(numpy.minimum(places, bins - 1), minlength=bins)
    return _answer(reach, counts.tolist(), nan, infinite)


def _by_hand(values: Any, bins: int) -> Dict[str, Any]:
    try:
        given = [float(value) for value in values]
    except (TypeError, ValueError) as error:
        raise _no_numbers(values) from error
    nan = sum(math.isnan(value) for value in given)
    kept = [value for value in given if abs(value) <= _LARGEST]
    infinite = len(given) - nan - len(kept)
    if not kept:
        return _answer((0.0, 0.0), [0], nan, infinite)
    low, high = min(kept), max(kept)
    if low == high:
        return _answer((low, high), [len(kept)], nan, infinite)
    counts = [0] * bins
    for value in kept:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    return _answer((low, high), counts, nan, infinite)


def _no_numbers(values: Any) -> GenOpsError:
    return GenOpsError(
        f"No histogram can be made of this {type(values).__name__}.",
        "Give numbers: an array, a tensor or a list.",
    )
