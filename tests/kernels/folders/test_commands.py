"""``genops pull``, ``push`` and ``folders status`` with a running Lab; ``%genops pull`` in a kernel on a host, which a
person confirms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.commands.conftest import RunningLab
from tests.kernels.folders.scenes import write
from tests.support.sshd import Sshd

from .desks import Desk, a_world


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[RunningLab, Sshd]]:
    with a_world() as found:
        yield found


@pytest.fixture
def desk(world: tuple[RunningLab, Sshd], request: pytest.FixtureRequest) -> Desk:
    return Desk(*world, request.node.name)


def test_sent_compared_and_brought_back(desk: Desk) -> None:
    write(desk.here, {"a.py": "a", "sub/b.py": "b"})
    refused = desk.genops("pull")
    assert refused.code == 3 and "is on no target yet" in refused.err
    sent = desk.ok("push", "--target", "gpu1")
    assert (
        sent["done_count"] == 2
        and sent["direction"] == "sent"
        and {each["change"] for each in sent["done"]} == {"new"}
    )
    write(desk.there, {"out/result.txt": "42", "out/other.txt": "x", "sub/b.py": "theirs"})
    write(desk.here, {"sub/b.py": "mine, changed"})
    state = desk.ok("folders", "status", cwd=desk.here / "sub")
    assert [each["path"] for each in state["to_bring"]] == ["out/other.txt", "out/result.txt"]
    assert [each["path"] for each in state["conflicts"]] == ["sub/b.py"] and state["to_send_count"] == 0
    text = desk.genops("folders", "status").out
    assert "changed on both sides" in text and "genops pull --theirs PATH" in text
    assert [each["path"] for each in desk.ok("pull", "out/res*")["done"]] == ["out/result.txt"]
    pulled = desk.genops("pull")
    assert (
        pulled.code == 0
        and "out/other.txt" in pulled.out
        and "No file that changed on both sides was overwritten" in pulled.out
    )
    assert (desk.here / "sub" / "b.py").read_text() == "mine, changed"
    theirs = desk.ok("pull", "--theirs", "b.py", cwd=desk.here / "sub")["done"][0]
    assert (desk.here / "sub" / "b.py").read_text() == "theirs"
    assert (desk.here / theirs["kept"]).read_text() == "mine, changed"
    assert desk.genops("pull", "../elsewhere").code == 2


def test_much_needs_a_word(desk: Desk) -> None:
    write(desk.here, {"a": "a" * 100})
    desk.ok("targets", "set", "gpu1", "--folder-size", "50B", "--folder-files", "9")
    try:
        refused = desk.genops("push", "--target", "gpu1")
        assert refused.code == 4 and "--yes" in refused.err
        assert desk.ok("push", "--target", "gpu1", "--yes")["done_count"] == 1
    finally:
        desk.ok("targets", "set", "gpu1", "--folder-size", "200MiB", "--folder-files", "5000")


def test_a_target_that_is_none(desk: Desk) -> None:
    assert desk.genops("push", "--target", "nowhere").code == 3


def test_a_kernel_there_asks_and_a_person_agrees(desk: Desk) -> None:
    write(desk.here, {"a.py": "a"})
    with desk.kernel() as kernel:
        kernel.ok("open('result.txt', 'w').write('42'); open('other', 'w').write('x')")
        with desk.answers("yes") as answering:
            printed = kernel.ok("%genops folders pull result.txt")
        assert answering.question is not None and answering.question.kind == "folder_pull"
        assert "result.txt" in answering.question.text and "other" not in answering.question.text
        assert str(desk.here.resolve()) in answering.question.text
        assert "1 file (2 bytes) pulled into" in printed
        assert (desk.here / "result.txt").read_text() == "42" and not (desk.here / "other").exists()
        reply, _ = kernel.run("%genops push")
        assert "this kernel runs on another host" in reply["evalue"]


def test_what_could_run_or_replaces_is_named_first_and_all_of_it(desk: Desk) -> None:
    write(desk.here, {"mine.py": "mine"})
    with desk.kernel() as kernel:
        kernel.ok(
            "import os\n"
            "for n in range(40): open(f'data{n:02}.csv', 'w').write('1,2\\n' * 10_000)\n"
            "for n in range(30): open(f'step{n:02}.py', 'w').write('pass')\n"
            "os.mkdir('.vscode')\n"
            "for name in ('conftest.py', '.envrc', '.vscode/settings.json', 'exe', 'Makefile', 'mine.py'):\n"
            "    open(name, 'w').write('theirs')\n"
            "os.chmod('exe', 0o755)"
        )
        with desk.answers(None) as answering:
            reply, _ = kernel.run("%genops pull")
    state = desk.ok("folders", "status")["to_bring"]
    assert [each["path"] for each in state[:2]] == [".envrc", ".vscode/settings.json"] and state[-1][
        "path"
    ] == "data39.csv"
    assert reply["status"] == "error" and (desk.here / "mine.py").read_text() == "mine"
    assert answering.question is not None
    lines = [line.split(maxsplit=2) for line in answering.question.text.splitlines() if "  " in line]
    rows = {line[2].partition("  ")[0]: line[2].partition("  ")[2] for line in lines}
    assert next(iter(rows)) == "mine.py" and rows["mine.py"] == "(replaces yours)"
    careful = {
        ".envrc": "(new, hidden)", ".vscode/settings.json": "(new, hidden)", "exe": "(new, executable)",
        "conftest.py": "(new, code)", "Makefile": "(new, code)", **{f"step{n:02}.py": "(new, code)" for n in range(30)},
    }  # fmt: skip
    assert set(list(rows)[1:36]) == set(careful)
    assert {name: rows[name] for name in careful} == careful
    assert {name: rows[name] for name in rows if name.endswith(".csv")} == {
        f"data{n:02}.csv": "(new)" for n in range(40)
    }


def test_what_nobody_agrees_to_is_not_brought(desk: Desk) -> None:
    write(desk.here, {"a.py": "a"})
    with desk.kernel() as kernel:
        kernel.ok("open('result.txt', 'w').write('42')")
        with desk.answers(None):
            reply, _ = kernel.run("%genops pull")
        assert "No user agreed" in reply["evalue"] and not (desk.here / "result.txt").exists()
        reply, _ = kernel.run("%genops pull")  # and it does not ask again at once
        assert "did not agree to the last request" in reply["evalue"]
        assert desk.lab.run(desk.lab.lab.questions.list_questions()) == []


def test_what_comes_is_what_was_shown(desk: Desk) -> None:
    write(desk.here, {"a.py": "a"})
    with desk.kernel() as kernel:
        kernel.ok("open('shown', 'w').write('1'); open('swapped', 'w').write('1')")
        answering = desk.answers("yes")
        asked = desk.lab.lab.links.asker.ask

        async def swap(question: Any) -> Any:
            write(desk.there, {"swapped": "something else", "more": "x"})
            return await asked(question)

        with pytest.MonkeyPatch.context() as patch, answering:
            patch.setattr(desk.lab.lab.links.asker, "ask", swap)
            kernel.ok("%genops pull")
        assert (desk.here / "shown").exists()
        assert not (desk.here / "swapped").exists() and not (desk.here / "more").exists()
