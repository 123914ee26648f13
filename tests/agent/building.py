"""Builds as a Lab sees them: orders, channels that follow them, and what lies there afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from genops_lab.agent.channels import Channel

from .hosts import TIMEOUT_S, Host

PATH = "/usr/bin:/bin"
PLAIN = {"PATH": PATH}


def run(test: Callable[[], Awaitable[Any]]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(test(), 170)

    asyncio.run(bounded())


def order(*packages: str, **fields: Any) -> dict[str, Any]:
    return {"id": uuid.uuid4().hex, "packages": list(packages or ["goltiny"]), **fields}


class Following:
    """One channel that follows a build."""

    def __init__(self, host: Host, ordered: dict[str, Any], after: int = 0) -> None:
        self.channel: Channel = host.mux.open("build", {"after": after})
        self.channel.write(json.dumps(ordered).encode())
        self.channel.write_eof()
        self.events: list[dict[str, Any]] = []
        self._rest = b""

    async def until(self, good: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """The first line of the answer that is good."""
        while True:
            while b"\n" in self._rest:
                line, self._rest = self._rest.split(b"\n", 1)
                found: dict[str, Any] = json.loads(line)
                if "progress" in found and "id" not in found["progress"]:
                    self.events.append(found["progress"])
                if good(found):
                    return found
            piece = await asyncio.wait_for(self.channel.read(), TIMEOUT_S)
            assert piece, f"it ended with {self.events[-3:]}"
            self._rest += piece

    async def end(self) -> dict[str, Any]:
        found = await self.until(lambda line: "result" in line)
        result: dict[str, Any] = found["result"]
        return result

    @property
    def lines(self) -> list[str]:
        return [str(event["line"]) for event in self.events if "line" in event]


async def built(host: Host, ordered: dict[str, Any]) -> dict[str, Any]:
    return await Following(host, ordered).end()


async def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)
    return found


def let_through(there: dict[str, str]) -> None:
    """What waits for the gate goes on."""
    Path(there["GOL_GATE"]).touch()


def environments(home: Path) -> list[Path]:
    root = home / ".local" / "share" / "genops-lab" / "envs"
    return sorted(root.iterdir()) if root.is_dir() else []


SOURCE = {
    "kind": "requirements",
    "main": "requirements.txt",
    "files": {"requirements.txt": "-r sub/more.txt\n", "sub/more.txt": "goltiny<2\n"},
}


def printed(python: str, code: str) -> str:
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
