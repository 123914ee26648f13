"""Small memory snapshots for tests, in the form of ``torch.cuda.memory._snapshot``."""

from __future__ import annotations

from typing import Any

CELL = "/tmp/ipykernel_12/345.py"
TORCH = "/env/lib/python3.12/site-packages/torch"


def frame(filename: str, line: int = 0, name: str = "<module>") -> dict[str, Any]:
    return {"filename": filename, "line": line, "name": name}


def at(line: int, *inside: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames of an allocation by a line of the cell, innermost first."""
    return [frame("??", 0, "c10::cuda::malloc"), *inside, frame(CELL, line)]


def entry(action: str, address: int, size: int, frames: Any = (), **more: Any) -> dict[str, Any]:
    return {
        "action": action,
        "addr": address,
        "size": size,
        "stream": 0,
        "time_us": more.pop("time_us", 100),
        "frames": list(frames),
        **more,
    }


def block(address: int, size: int, frames: Any = (), state: str = "active_allocated") -> dict[str, Any]:
    return {"address": address, "size": size, "requested_size": size, "state": state, "frames": list(frames)}


def segment(*blocks: dict[str, Any], device: int = 0) -> dict[str, Any]:
    held = sum(each["size"] for each in blocks if each["state"] == "active_allocated")
    return {
        "device": device,
        "address": blocks[0]["address"],
        "total_size": sum(each["size"] for each in blocks),
        "allocated_size": held,
        "active_size": held,
        "stream": 0,
        "segment_type": "large",
        "segment_pool_id": (0, 0),
        "is_expandable": False,
        "frames": [],
        "blocks": list(blocks),
    }


def snapshot(segments: Any = (), *traces: list[dict[str, Any]]) -> dict[str, Any]:
    return {"segments": list(segments), "device_traces": list(traces), "allocator_settings": {}}
