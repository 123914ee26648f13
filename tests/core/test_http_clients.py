"""A client that speaks for many callers carries nothing of one to the next: real programs on real ports."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.http_clients import aiohttp_session
from genops_lab.core.passing import http_client
from tests.support.rooms import eventually

_PROGRAM = Path(__file__).parents[1] / "ports" / "program.py"


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of two programs, which set a cookie in each answer."""
    with ExitStack() as stack:
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        for folder in folders:
            command = [sys.executable, str(_PROGRAM), "0", str(folder)]
            process = stack.enter_context(subprocess.Popen(command))
            stack.callback(process.kill)
        yield [eventually(functools.partial(_port, folder), bool) for folder in folders]


def _port(folder: Path) -> int:
    path = folder / "port"
    return int(path.read_text() or 0) if path.exists() else 0


async def test_a_cookie_of_a_program_reaches_no_other_caller_and_no_other_port(ports: list[int]) -> None:
    async def told(client: Any, port: int, caller: str) -> dict[str, str]:
        answer = await client.get(f"http://127.0.0.1:{port}/echo", headers={"X-Caller": caller})
        assert answer.headers["Set-Cookie"].startswith("theirs=1")
        return dict(answer.json()["headers"])

    async with await http_client() as client:
        first = await told(client, ports[0], "ada")
        again, other = await told(client, ports[0], "bob"), await told(client, ports[1], "bob")
    assert (first["X-Caller"], again["X-Caller"], other["X-Caller"]) == ("ada", "bob", "bob")
    assert "Cookie" not in again and "Cookie" not in other


async def test_a_redirection_goes_to_the_caller(ports: list[int]) -> None:
    async with await http_client() as client:
        answer = await client.get(f"http://127.0.0.1:{ports[0]}/moved")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/echo")


async def test_a_session_of_endpoints_keeps_no_cookie(ports: list[int]) -> None:
    # By name: aiohttp keeps no cookie of an address by number, whatever its jar.
    async with aiohttp_session() as session:
        for _ in range(2):
            async with session.get(f"http://localhost:{ports[0]}/echo", allow_redirects=False) as answer:
                assert "theirs" in answer.cookies
                assert "Cookie" not in (await answer.json())["headers"]
