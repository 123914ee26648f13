"""Rows with pictures and a PDF, and an endpoint that looks at them."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path
from typing import Any

from .answering import Answering
from .test_conversations import PDF

#: More bytes than a trace keeps of a picture.
LARGE_SIDE = 300


def png_of(side: int) -> bytes:
    """Return a valid picture that does not get smaller by compression."""
    noise = random.Random(7)
    rows = b"".join(b"\0" + noise.randbytes(3 * side) for _ in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def looking() -> Answering:
    """Return an endpoint that names what it was sent."""

    def reply(_number: int, said: Any, _headers: dict[str, str]) -> tuple[int, Any, float]:
        return 200, "I see " + " and ".join(part["type"] for part in said), 0.0

    return Answering(reply)


def file_with_attachments(folder: Path, url: str, name: str) -> str:
    """Write the files of three rows, and return the evaluation file: a small and a large picture, and a PDF."""
    large = png_of(LARGE_SIDE)
    names = ("small.png", "large.png", "paper.pdf")
    rows = [{"id": Path(path).stem, "at": path, "expected": "I see"} for path in names]
    for path, content in (("small.png", png_of(8)), ("large.png", large), ("paper.pdf", PDF)):
        (folder / path).write_bytes(content)
    rows = [
        {"id": Path(path).stem, "at": path, "expected": "I see"}
        for path in ("small.png", "large.png", "paper.pdf")
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return json.dumps(
        {
            "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": name}, "data": "rows.jsonl",
            "id": "id", "pdf": "file", "models": {"a": {"url": url, "model": "stub"}},
            "prompt": [{"role": "user", "content": "See {{id}}", "attach": ["at"]}],
            "scorers": [{"scorer": "contains"}],
        }
    )  # fmt: skip
