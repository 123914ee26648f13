"""Format values for messages."""

from __future__ import annotations


def size_of(count: int) -> str:
    """Return a size in bytes as text, such as ``3.4 MiB``."""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    value, units = count / 1024, ["KiB", "MiB", "GiB", "TiB"]
    while value >= 999.95 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:,.1f} {units[0]}"
