"""Measure a kernel of gateway-provisioners; runs in its environment and prints one line of JSON.

python gateway_provisioners_probe.py KERNELSPEC
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from jupyter_client.manager import AsyncKernelManager

STARTS, PRINTS, LINES = 3, 2, 120
_LINE = "x" * 99_999
PRINT_100_MB = f"import sys\nfor _ in range(1000): print({_LINE!r})"


async def run(client: Any, code: str) -> str:
    """Run a cell; return its output."""
    message_id, pieces = client.execute(code), []
    while True:
        message = await client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "stream":
            pieces.append(message["content"]["text"])
        if message["content"].get("execution_state") == "idle":
            return "".join(pieces)


async def start(name: str) -> "tuple[Any, Any, float]":
    """Start a kernel; return it with a client and the seconds to its first printed reply."""
    begun = time.perf_counter()
    manager = AsyncKernelManager(kernel_name=name)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    await run(client, "print(6 * 7)")
    return manager, client, time.perf_counter() - begun


async def lost_while_away(manager: Any, client: Any) -> int:
    """Return the lines of a cell that do not come when its client is away for 3 s."""
    message_id = client.execute(
        f"import time\nfor i in range({LINES}): print(i, flush=True); time.sleep(0.05)"
    )
    await asyncio.sleep(1.0)
    client.stop_channels()
    await asyncio.sleep(3.0)
    client = manager.client()
    client.start_channels()
    pieces = []
    while True:
        message = await client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if message["msg_type"] == "stream":
            pieces.append(message["content"]["text"])
        if message["content"].get("execution_state") == "idle":
            client.stop_channels()
            return LINES - len(set("".join(pieces).split()))


async def main() -> None:
    starts, prints = [], []
    for number in range(STARTS):
        manager, client, took = await start(sys.argv[1])
        starts.append(took)
        if number == STARTS - 1:
            for _ in range(PRINTS):
                begun = time.perf_counter()
                size = len(await run(client, PRINT_100_MB))
                if size == 100_000_000:
                    prints.append(time.perf_counter() - begun)
            lost = await lost_while_away(manager, client)
        else:
            client.stop_channels()
        await manager.shutdown_kernel(now=True)
    print(json.dumps({"starts": starts, "stdout_100_mb": prints, "lost": [lost]}), flush=True)
    os._exit(0)  # its response manager keeps a thread


asyncio.run(main())
