"""What tests of profiles in kernels share: a stand-in's summary, and what a trace holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUMMARY = {
    "events": 3,
    "ranks": [0],
    "devices": [],
    "cpu": {"span_us": 100.0, "busy_us": 80.0, "idle_us": 20.0},
    "operators": [{"name": "aten::mm<&>", "count": 2, "self_us": 60.0, "total_us": 70.0, "device_us": 0.0}],
    "damaged": "",
}


def operators(trace: str) -> set[str]:
    return {event.get("name", "") for event in events(trace)}


def events(trace: str) -> list[dict[str, Any]]:
    """What a trace holds."""
    found: list[dict[str, Any]] = json.loads(Path(trace).read_text(encoding="utf-8"))["traceEvents"]
    return found


WORK = "import torch\ntorch.ones(8, 8) @ torch.ones(8, 8)"
