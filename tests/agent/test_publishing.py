"""What a kernel prints leaves it in pieces, and whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.agent.publishing import MOST_PIECES, PIECE, SOON
from tests.support.environments import index_variables, uv_folder

from .hosts import attached
from .waiting import run

#: The last of the line that works on other private names, and runs on Python 3.8.
IPYKERNEL_6 = "ipykernel==6.29.5"

#: Two streams, 3 pieces and a part each; astral characters, which are two of JSON's escapes and one of Python's.
PRINT = f"""
import sys, ipykernel
text = "".join(chr(0x1F600 + n % 50) + "x" * 98 + "\\n" for n in range({PIECE * 3 // 100 + 5}))
sys.stdout.write(text[:7])
sys.stdout.write(text[7:])
print(ipykernel.__version__, file=sys.stderr)
sys.stderr.write(text)
"""


@pytest.fixture(scope="module", params=["installed", IPYKERNEL_6])
def version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A version of ipykernel, and the folder where it lies."""
    if request.param == "installed":
        return "", ""
    folder = str(tmp_path_factory.mktemp("ipykernel"))
    uv = uv_folder()  # pip takes 2 s of CPU for it
    pip = [uv / "uv", "pip"] if uv else [sys.executable, "-m", "pip"]
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--target", folder, request.param],
        env={**os.environ, **index_variables()},
        check=True,
    )
    return request.param, folder


def of(version: tuple[str, str], home: Path) -> dict[str, str]:
    return {"IPYTHONDIR": str(home / "ipython"), **({"PYTHONPATH": version[1]} if version[1] else {})}


def test_a_long_text_comes_in_pieces_and_whole(agent_home: Path, version: tuple[str, str]) -> None:
    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k", env=of(version, agent_home))
            client = await host.kernel("k", client="me").welcomed()
            msg_id = client.execute(PRINT)
            await client.done(msg_id)
            texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
            for kind, content in client.said(msg_id):
                if kind == "stream":
                    texts[content["name"]].append(content["text"])
            used, _, errors = "".join(texts["stderr"]).partition("\n")
            assert version[0] in ("", f"ipykernel=={used}")
            assert "".join(texts["stdout"]) == errors
            assert errors.count("\n") == PIECE * 3 // 100 + 5
            for pieces in texts.values():
                assert len(pieces) >= 4
                assert max(map(len, pieces)) <= PIECE
            silent = client.execute("pass")
            await client.done(silent)
            assert client.text(silent) == ""

    run(test)


def test_more_pieces_than_a_pipe_holds_are_larger_ones(agent_home: Path, version: tuple[str, str]) -> None:
    """ipykernel's sending thread would wait for itself."""

    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k", env=of(version, agent_home))
            client = await host.kernel("k", client="me").welcomed()
            where = "getattr(type(sys.stdout), '_flush_buffers', None) or type(sys.stdout)._flush_buffer"
            await client.done(
                client.execute(f"import sys\n({where}).__globals__['_pieces'].__globals__['PIECE'] = 10")
            )
            msg_id = client.execute("sys.stdout.write('0123456789' * 9_000 + 'end')")
            await client.done(msg_id)
            assert client.text(msg_id) == "0123456789" * 9_000 + "end"
            pieces = [content for kind, content in client.said(msg_id) if kind == "stream"]
            assert 50 < len(pieces) <= MOST_PIECES

    run(test)


def test_much_is_sent_before_its_time(agent_home: Path, tmp_path: Path, version: tuple[str, str]) -> None:
    """So that a cell which is interrupted has little to send."""
    go_on = tmp_path / "go on"

    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k", env=of(version, agent_home))
            client = await host.kernel("k", client="me").welcomed()
            await client.done(client.execute("import os, sys, time\nsys.stdout.flush_interval = 3600"))
            msg_id = client.execute(
                f"print('x' * {SOON - 1}); print('y' * 10)\n"
                f"while not os.path.exists({str(go_on)!r}): time.sleep(0.01)\nprint('z', end='')"
            )
            await client.until(lambda: len(client.text(msg_id)) >= SOON)
            assert not client.is_done(msg_id)
            go_on.touch()
            await client.done(msg_id)
            assert client.text(msg_id) == "x" * (SOON - 1) + "\n" + "y" * 10 + "\nz"

    run(test)


def test_modules_in_the_folder_of_a_kernel_do_not_stand_in_its_start(
    agent_home: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("value = 42\n")
    for name in ("queue", "random", "runpy", "zmq"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('taken at the start')\n")

    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k", cwd=str(tmp_path))
            client = await host.kernel("k", client="me").welcomed()
            msg_id = client.execute("import mine, random\nprint(mine.value, random.choice([1]))")
            await client.done(msg_id)
            assert client.text(msg_id) == "42 1\n"

    run(test)
