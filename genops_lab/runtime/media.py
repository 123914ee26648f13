"""What a run keeps by step beside its metrics, as events: pictures, histograms, tables."""

from __future__ import annotations

import base64
from typing import Any, Dict, Optional, Tuple

from .pictures import picture
from .tables import table

Made = Tuple[Dict[str, Any], str]


def image_event(image: Any) -> Made:
    """The event's part of a picture, and what to tell of it. Raises GenOpsError."""
    made = picture(image)
    event = {"type": "image", "content": _text(made.content)}
    if made.small:
        event["small"] = _text(made.small)
    return event, made.note


def table_event(rows: Any) -> Made:
    """The event's part of a table, and what to tell of it. Raises GenOpsError."""
    made, note = table(rows)
    return {"type": "table", **made}, note


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


class MediaSteps:
    """Counts what one process keeps under each name. ``series`` tells it from a process that goes on with the run."""

    def __init__(self, run_key: str) -> None:
        self._series = run_key[:8]
        self._next: Dict[Tuple[str, str], int] = {}
        self._count: Dict[Tuple[str, str], int] = {}

    def place(self, kind: str, name: str, step: Optional[int]) -> Dict[str, Any]:
        """The step, and as how many-th (from 0) of its kind and name it comes."""
        key = (kind, name)
        at = self._next.get(key, 0) if step is None else int(step)
        index = self._count.get(key, 0)
        self._next[key], self._count[key] = at + 1, index + 1
        return {"step": at, "series": self._series, "index": index}
