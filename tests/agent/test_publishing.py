"""What a kernel prints leaves it in pieces, and whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.agent.publishing import PIECE

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


@pytest.mark.parametrize("version", ["installed", IPYKERNEL_6])
def test_a_long_text_comes_in_pieces_and_whole(agent_home: Path, tmp_path: Path, version: str) -> None:
    env = {"IPYTHONDIR": str(agent_home / "ipython")}
    if version != "installed":
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(tmp_path), version],
            check=True,
        )
        env["PYTHONPATH"] = str(tmp_path)

    async def test() -> None:
        async with attached(agent_home) as host:
            await host.start("k", env=env)
            client = await host.kernel("k", client="me").welcomed()
            msg_id = client.execute(PRINT)
            await client.done(msg_id)
            texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
            for kind, content in client.said(msg_id):
                if kind == "stream":
                    texts[content["name"]].append(content["text"])
            used, _, errors = "".join(texts["stderr"]).partition("\n")
            assert version in ("installed", f"ipykernel=={used}")
            assert "".join(texts["stdout"]) == errors
            assert errors.count("\n") == PIECE * 3 // 100 + 5
            for pieces in texts.values():
                assert len(pieces) >= 4
                assert max(map(len, pieces)) <= PIECE
            silent = client.execute("pass")
            await client.done(silent)
            assert client.text(silent) == ""

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
