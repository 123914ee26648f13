"""A program: has ``scan.c``, built to the path it is given, read damaged texts that end where their memory ends.

It is started with a sanitizer's library before all others, which ends it where something outside is read or written.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np

from genops_lab.profiling.engine.reading import native

TOKENS = [
    *(
        b'"',
        b"\\",
        b"\\u",
        b"\\ud800",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"-",
        b".",
        b"1e5",
        b"0",
        b"\x00",
    ),
    *(b'"ph":"X"', b'"args":{', b'"ts":', b'"stream":', b'"grid":', b'"name":"', b"[" * 70, b"9" * 40),
]
EVENT = {
    "ph": "X", "cat": "kernel", "name": "gemm", "pid": 0, "tid": 7, "ts": 1669783687384378.123, "dur": 12.5,
    "args": {
        "External id": 3, "device": 0, "stream": 7, "correlation": 9, "grid": [1, 2, 3], "bytes": None,
        "est. achieved occupancy %": 31.25, "Input Dims": [[64, 3], []], "Call stack": "a.py(1): f;\\u00e4 \\n",
    },
}  # fmt: skip
MEMORY = {
    "ph": "i", "s": "t", "name": "[memory]", "pid": 1, "tid": 2, "ts": 5,
    "args": {"Device Id": 0, "Bytes": -512, "Addr": 1, "Total Allocated": 7, "Total Reserved": None},
}  # fmt: skip


def damaged(text: bytes, chance: random.Random) -> bytes:
    """``text`` with some pieces lost, doubled or exchanged."""
    found = bytearray(text)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((0, 1, 2, 8, 30)))
        found[at:end] = chance.choice(
            (b"", chance.choice(TOKENS), bytes(found[at:end]) * 2, chance.randbytes(3))
        )
    return bytes(found[: chance.randrange(len(found) + 1)] if chance.random() < 0.3 else found)


def main(library: str, rounds: int) -> None:
    """Prints how many of the texts were read."""
    native._library = lambda: native.loaded(Path(library))  # type: ignore[assignment]
    others = [{"ph": phase, "name": "n", "id": 1, "ts": 1} for phase in "MiCBEbesf"]
    seed = json.dumps([EVENT, MEMORY, {**EVENT, "args": {}}, *others, MEMORY, EVENT], indent=1).encode()
    chance, read = random.Random(1), 0
    scanner = native._Scanner(2 * len(seed))
    for _ in range(rounds):
        text = damaged(seed, chance)
        # Its own piece of memory, and nothing behind it.
        whole = np.frombuffer(text, np.uint8).copy()
        read += len(text) <= scanner.room and scanner.scan(whole.data) is not None  # type: ignore[arg-type]
    print(read)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
