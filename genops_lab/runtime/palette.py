"""Colours, marks and number formats of the saved pictures; marks repeat what colours say."""

from __future__ import annotations

import html
from typing import Any

#: Middle tones: contrast of at least 3:1 against white and JupyterLab's dark grey.
SERIES = ("#3b82f6", "#d9730d", "#0f9d76", "#c2509a", "#8b6fe8", "#b08900")
GREY = "#808080"

STATUS_WORDS = {"RUNNING": "Running", "FINISHED": "Finished", "FAILED": "Failed", "KILLED": "Stopped"}
STATUS_MARKS = {"RUNNING": "●", "FINISHED": "✓", "FAILED": "✕", "KILLED": "■"}
STATUS_COLOURS = {"RUNNING": SERIES[0], "FINISHED": SERIES[2], "FAILED": "#dc4c4c", "KILLED": GREY}


def escape(text: Any) -> str:
    """Escape a text for HTML and attributes."""
    return html.escape(str(text), quote=True)


def figure(value: float) -> str:
    """Return a number in at most five significant digits."""
    return f"{value:.5g}"


def elapsed(seconds: float) -> str:
    """Return a duration in its two largest units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def microseconds(us: float) -> str:
    """Return a duration of a trace, in microseconds, in a readable unit."""
    if us >= 1e6:
        return f"{us / 1e6:.2f} s"
    if us >= 1e3:
        return f"{us / 1e3:.2f} ms"
    return f"{us:.1f} µs"
