"""A kernel starts whatever becomes of its folder, and its notebook says what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.hosts.models import TargetPolicy
from genops_lab.kernels.folders.before_start import Cap
from genops_lab.kernels.folders.download import Progress
from tests.kernels.folders.scenes import Scene, a_scene, always, write
from tests.kernels.places import Running
from tests.support.exhaustive import times


@pytest.fixture(scope="module")
def one_scene() -> Iterator[Scene]:
    with a_scene() as found:
        yield found


@pytest.fixture
def scene(one_scene: Scene, request: pytest.FixtureRequest) -> Scene:
    """The one scene, with a project and a person of this test's own."""
    one_scene.here = one_scene.place.home.work / re.sub(r"\W", "_", request.node.name)
    one_scene.here.mkdir()
    one_scene.place.policy = TargetPolicy()
    one_scene.person.answer = None
    one_scene.person.asked.clear()
    return one_scene


@pytest.fixture
def genops(scene: Scene) -> Iterator[Path]:
    """``~/genops`` on the host, without what other tests sent; what is in its place is gone afterwards."""
    path, aside = scene.host.home / "genops", scene.host.home / "aside"
    if path.exists():
        path.rename(aside)
    yield path
    if path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
    if aside.exists():
        aside.rename(path)


def said(kernel: Running) -> str:
    """What the first cell shows beside its own output."""
    return kernel.run("print('ran')")[1]


LIST = "import os; print(sorted(os.listdir()))"


@pytest.mark.parametrize("answer", ["yes", "no", pytest.param(None, marks=pytest.mark.exhaustive)])
def test_much_is_asked_for_first(scene: Scene, answer: str | None) -> None:
    write(scene.here, {"a": "a", "large": b"x" * 2000, "b": "b"})
    scene.place.policy = TargetPolicy(folder_max_bytes=1000)
    scene.person.answer = answer
    with scene.kernel() as kernel:
        text = said(kernel)
        listed = kernel.run(LIST)[1]
        if answer == "yes":
            assert text == "ran\n" and listed == "['a', 'b', 'large']\n"
        else:
            assert "nobody agreed to send them" in text and text.endswith("ran\n") and listed == "[]\n"
            assert str(scene.there().resolve()) in kernel.run("print(os.getcwd())")[1]
        question = scene.person.asked[0]
        assert (
            question.kind == "folder_size"
            and "3 files (2.0 KiB)" in question.text
            and "large" in question.text
        )
        write(scene.here, {"large": b"y" * 2000})
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=60)
        kernel.run("pass")
        # Who refused is not asked at each restart.
        assert len(scene.person.asked) == (2 if answer == "yes" else 1)


def test_the_number_of_files_counts_too(scene: Scene) -> None:
    write(scene.here, {str(number): "" for number in range(5)})
    scene.place.policy = TargetPolicy(folder_max_files=4)
    with scene.kernel() as kernel:
        assert "nobody agreed" in said(kernel)


def test_a_conflict_is_named_in_the_notebook_and_left_alone(scene: Scene) -> None:
    write(scene.here, {"a.py": "1", "b.py": "1"})
    scene.push()
    write(scene.here, {"a.py": "mine!"})
    write(scene.there(), {"a.py": "theirs"})
    with scene.kernel() as kernel:
        text = said(kernel)
        assert "both sides keep their version: a.py." in text and text.endswith("ran\n")
        assert kernel.run("print(open('a.py').read())")[1] == "theirs\n"
    assert (scene.here / "a.py").read_text() == "mine!"


def test_a_folder_that_cannot_be_made_there(scene: Scene, genops: Path) -> None:
    write(scene.here, {"a": ""})
    genops.write_text("in the way")
    with scene.kernel() as kernel:
        text = said(kernel)
        assert "could not be sent" in text and "cannot be used on the host" in text
        assert kernel.run("import os; print(os.getcwd())")[1].strip() == str(scene.host.home)


def test_a_file_that_cannot_be_written_there(scene: Scene) -> None:
    write(scene.here, {"a": "", "sub/b": "b"})
    there = scene.there()
    there.mkdir(parents=True)
    (there / "sub").write_text("in the way")
    with scene.kernel() as kernel:
        text = said(kernel)
        assert "1 file could not be sent" in text and "sub/b" in text
        assert kernel.run(LIST)[1] == "['a', 'sub']\n"


def test_a_full_disk_there(scene: Scene, small_disk_for_home: None) -> None:
    write(scene.here, {"a": "a", "large": os.urandom(6_000_000), "z": "z"})
    with scene.kernel() as kernel:
        text = said(kernel)
        assert "could not be sent" in text and "No space left" in text
        assert "'a'" in kernel.run(LIST)[1]
        assert not [name for name in scene.files_there() if "part" in name]


@pytest.fixture
def small_disk_for_home(genops: Path) -> Iterator[None]:
    """4 MB for ``~/genops`` on the host."""
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    genops.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(genops)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield
    subprocess.run(["umount", "-l", str(genops)], check=True)


def test_a_home_is_not_sent_and_the_notebook_says_so(scene: Scene, genops: Path) -> None:
    with scene.kernel(scene.place.home.path) as kernel:
        assert "your home folder" in said(kernel)
    assert not genops.exists()


def test_a_kernel_that_runs_keeps_its_files(scene: Scene) -> None:
    write(scene.here, {"a": "1"})
    with scene.kernel() as kernel:
        kernel.run("pass")
        write(scene.here, {"a": "2"})
        prepared = scene.folders.prepare(
            scene.place.route, str(scene.here), str(kernel.manager.kernel_id), Cap(10, 1000)
        )
        scene.place.do(prepared)
        assert (scene.there() / "a").read_text() == "1"


def test_many_small_files(scene: Scene) -> None:
    count = times(5000, 500)
    write(scene.here, {f"d{number % 50}/f{number}.py": f"x = {number}\n" for number in range(count)})
    folder = scene.folder()
    began = time.monotonic()
    report = scene.place.do(folder.push(Progress(), always))
    first = time.monotonic()
    again = scene.place.do(folder.push(Progress(), always))
    print(f"{count} files: {first - began:.2f} s; nothing to send: {time.monotonic() - first:.2f} s")
    assert len(report.done) == count and again.done == {} and len(scene.files_there()) == count
