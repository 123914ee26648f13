"""Run the gateway: ``python -m genops_lab.serving.gateway SPEC.json``.

``SPEC.json`` has ``folder`` (for the lock and the port), ``socket`` (the path of the control socket) and ``routes``
(the folder whose subfolders have ``route.json``).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
import time
from pathlib import Path

from .server import EMPTY_S, Gateway, log

#: How often the lock is tried before another gateway is taken for the one that runs.
LOOKS = 20


def main(spec_path: str) -> int:
    """Serve until no deployment is left. Return 0, also if a gateway of this folder runs already."""
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    folder = Path(spec["folder"])
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _locks(lock):
        return 0
    files = sorted(Path(spec["routes"]).glob("*/route.json"))

    async def run() -> None:
        gateway = Gateway(folder, Path(spec["routes"]), empty_s=float(spec.get("empty_s", EMPTY_S)))
        await gateway.serve(Path(spec["socket"]), files)

    try:
        asyncio.run(run())
    except OSError as error:
        log(f"failed: {error}")
        return 1
    return 0


def _locks(lock: int) -> bool:
    """Take the lock. Others hold it for a moment when they look whether there is a gateway."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
