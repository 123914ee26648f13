"""Normalise process, device and stream ids: 7, 7.0, "7" and [7] are one stream, 0 and "cuda:0" one device."""

from __future__ import annotations

import re
from typing import Any

_DEVICE = re.compile(
    r"(?:cuda|hip|rocm|gpu|xpu|npu|hpu|mtia|mlu|musa|privateuseone|device)[: _-]?(\d+)", re.IGNORECASE
)


def place(value: Any) -> str:
    """Return the text of a process, a thread or a stream."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list) and len(value) == 1:
        return place(value[0])
    return str(value)


def device_of(value: Any, process: Any) -> str:
    """Return the key of the device ``value``; without a value, that of the process."""
    text = place(process if value in (None, "", []) else value)
    numbered = _DEVICE.fullmatch(text.strip())
    return numbered[1] if numbered else text


def stream_of(value: Any) -> str:
    """Return the stream; "" where there is none."""
    return "" if value in (None, "", []) else place(value)
