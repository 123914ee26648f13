"""Start keepers from ``attach``, as processes of their own."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from typing import Any, Dict, List

from .channels import ChannelReset
from .environment import container, is_zip
from .state_file import kind_of
from .survival import Survival, in_own_unit

_READY_S = 60.0
_MAX_ANSWER_BYTES = 65536
_FROM_FOLDER = (
    "import sys, runpy; sys.path = [sys.argv.pop(1)] + [p for p in sys.path if p];"
    "runpy.run_module('genops_lab.agent', run_name='__main__', alter_sys=True)"
)


def agent_command(python: str, arguments: List[str]) -> List[str]:
    """Return the command that runs another agent of this version."""
    if is_zip():
        return [python, container(), *arguments]
    return [python, "-c", _FROM_FOLDER, container(), *arguments]


async def keeper_python(argv: List[str], env: Dict[str, str]) -> str:
    """Return an interpreter that has pyzmq: the agent's own, or the kernel's. Raises ChannelReset."""
    own = sys.executable
    kernels = argv[0] if argv else ""
    if kernels == own and "ipykernel_launcher" in argv and importlib.util.find_spec("ipykernel") is None:
        raise ChannelReset(
            "no_ipykernel",
            f"{own} has no ipykernel.",
            f"Install it on the host: {own} -m pip install ipykernel",
        )
    if importlib.util.find_spec("zmq") is not None:
        return own
    if kernels and kernels != own:
        process = await asyncio.create_subprocess_exec(
            kernels,
            "-c",
            "import sys, zmq; sys.exit(sys.version_info < (3, 8))",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=env,
        )
        if await process.wait() == 0:
            return kernels
    raise ChannelReset(
        "no_pyzmq",
        f"{own} has no pyzmq, which comes with ipykernel.",
        f"Install it on the host: {own} -m pip install ipykernel",
    )


async def start_keeper(python: str, folder: str, order: Dict[str, Any], survival: Survival) -> Dict[str, Any]:
    """Start a keeper for ``folder``; return its UnitInfo. Raises ChannelReset."""
    arguments = ["keep", "--foreground", folder] if survival.through_systemd else ["keep", folder]
    command = agent_command(python, arguments)
    if survival.through_systemd:
        name = f"genops-{kind_of(order)}-{os.path.basename(folder)}"
        if kind_of(order) == "command":  # two starters of one command: its folder's lock decides, not systemd
            name += f"-{order['incarnation'][:8]}"
        command = in_own_unit(command, name)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_MAX_ANSWER_BYTES,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    try:
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        line = await asyncio.wait_for(process.stdout.readline(), _READY_S)
        if not line:
            words = (await asyncio.wait_for(process.stderr.read(4096), _READY_S)).decode("utf-8", "replace")
            raise ChannelReset("start_failed", f"The agent could not start a keeper: {words.strip()[-500:]}")
        answer = json.loads(line)
    except asyncio.TimeoutError:
        process.kill()
        raise ChannelReset("start_failed", f"The keeper did not start within {_READY_S:.0f} s.") from None
    except (ValueError, ConnectionError) as error:
        raise ChannelReset("start_failed", f"The keeper's answer is invalid: {error}") from None
    if "error" in answer:
        refused = answer["error"]
        raise ChannelReset(refused["code"], refused["message"], refused["hint"])
    result: Dict[str, Any] = answer["result"]
    return result
