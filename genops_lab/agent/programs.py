"""Run a program of this host for the Lab: its standard streams are a channel (a queue's commands, a step into a
job).

From the Lab come the bytes of standard input. To the Lab go pieces of standard output, each after its length (4
bytes). After a length of 0 comes JSON with the exit code and the end of standard error. The program has no keeper:
it ends with its channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import struct
from typing import Any, List

from .channels import Channel, ChannelReset
from .launch_spec import home

LENGTH = struct.Struct("!I")
_PORTION_BYTES = 262144
_MAX_STDERR_BYTES = 8192
#: Seconds for a program to end by itself once its channel has.
_GRACE_S = 2.0


async def serve(channel: Channel) -> None:
    """Run the program in ``argv`` (in the home, ``env`` on top of the login's) until it ends."""
    argv = [str(each) for each in channel.params.get("argv") or []]
    env = {str(name): str(value) for name, value in dict(channel.params.get("env") or {}).items()}
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **env},
            cwd=home(),
            start_new_session=True,
            limit=_PORTION_BYTES,
        )
    except (OSError, ValueError, TypeError) as error:
        raise ChannelReset("no_such_program", f"{' '.join(argv[:1])} cannot be started: {error}") from None
    feeding = asyncio.ensure_future(_feed(channel, process.stdin))
    errors: List[bytes] = [b""]
    listening = asyncio.ensure_future(_listen(process.stderr, errors))
    try:
        assert process.stdout is not None
        while True:
            data = await process.stdout.read(_PORTION_BYTES)
            if not data:
                break
            channel.write(LENGTH.pack(len(data)) + data)
            await channel.drain()
        code = await process.wait()
        # A process that the program left running may keep its standard error open.
        await asyncio.wait([listening], timeout=0.5)
        ending = {"code": code, "stderr": errors[0].decode("utf-8", "replace")}
        channel.write(LENGTH.pack(0) + json.dumps(ending).encode())
        channel.write_eof()
    finally:
        for task in (feeding, listening):
            task.cancel()
        await _end(process)


async def _feed(channel: Channel, stdin: Any) -> None:
    with contextlib.suppress(ChannelReset, OSError):
        while True:
            data = await channel.read(_PORTION_BYTES)
            if not data:
                break
            stdin.write(data)
            await stdin.drain()
    with contextlib.suppress(OSError):
        stdin.close()


async def _listen(stderr: Any, kept: List[bytes]) -> None:
    while True:
        data = await stderr.read(4096)
        if not data:
            return
        kept[0] = (kept[0] + data)[-_MAX_STDERR_BYTES:]


async def _end(process: Any) -> None:
    """End a program whose channel broke: it sees the end of its input, then a signal."""
    if process.returncode is not None:
        return
    process.stdin.close()
    for number in (signal.SIGTERM, signal.SIGKILL):  # a step of srun outlives an srun that is killed
        try:
            await asyncio.wait_for(process.wait(), _GRACE_S)
            return
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
