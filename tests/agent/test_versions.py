"""Two versions of the agent on one host: a kernel that an older one started is served by a newer one, and back."""

from __future__ import annotations

import asyncio
import io
import sys
import zipfile
from pathlib import Path

import pytest

from genops_lab.hosts.link.payload import payload

from .hosts import attached


def of_version(version: str, folder: Path) -> list[str]:
    """The command that attaches with an agent of another version, in a zip as it travels."""
    found = io.BytesIO(payload()[0])
    path = folder / f"agent-{version}.pyz"
    with zipfile.ZipFile(found) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename == "genops_lab/__init__.py":
                data = f"__version__ = {version!r}\n".encode()
            new.writestr(item, data)
    return [sys.executable, str(path), "attach"]


@pytest.mark.parametrize(("first", "second"), [("0.0.1", "99.0.0"), ("99.0.0", "0.0.1")], ids=["up", "down"])
def test_a_kernel_of_another_version_goes_on(
    first: str, second: str, agent_home: Path, tmp_path: Path
) -> None:
    async def test() -> None:
        async with attached(agent_home, command=of_version(first, tmp_path)) as host:
            assert host.hello["version"] == first
            await host.start("k")
            client = await host.kernel("k", client="me").welcomed()
            await client.done(client.execute("kept = 41"))
        async with attached(agent_home, command=of_version(second, tmp_path)) as host:
            assert host.hello["version"] == second
            await host.start("other")
            versions = {each["kernel_id"]: each["agent_version"] for each in await host.call("kernels.list")}
            assert versions == {"k": first, "other": second}
            again = await host.kernel("k", client="me", after=client.last).welcomed()
            again.follow(client)
            msg_id = again.execute("print(kept + 1)")
            await again.done(msg_id)
            assert again.text(msg_id) == "42\n"
            for kernel_id in ("k", "other"):
                ended = await host.call("kernels.stop", kernel_id=kernel_id, grace_s=30)
                assert ended["state"] == "ended"
                await host.call("kernels.forget", kernel_id=kernel_id)
            assert await host.call("kernels.list") == []

    asyncio.run(asyncio.wait_for(test(), 170))
