"""The first cell finds the notebook's folder, through a real sshd, with real kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_lab.hosts.models import TargetPolicy
from tests.kernels.folders.scenes import Scene, a_scene, git, write


@pytest.fixture
def scene() -> Iterator[Scene]:
    with a_scene() as found:
        yield found


FIRST = "from mymodel import Net\nprint(Net().name, open('data.csv').read(), end='')"


def test_the_first_cell_imports_a_module_and_opens_data(scene: Scene) -> None:
    write(
        scene.here,
        {
            "nb/mymodel.py": "class Net:\n    name = 'one'\n",
            "nb/data.csv": "1,2\n",
            "lib/x.py": "",
            ".gitignore": "secret/\n",
            "secret/key": "k",
            "nb/__pycache__/mymodel.pyc": "old",
        },
    )
    git(scene.here, "init")
    with scene.kernel(scene.here / "nb") as kernel:
        assert kernel.run(FIRST)[1] == "one 1,2\n"
        _, cwd = kernel.run("import os; print(os.getcwd())")
        assert cwd.strip() == str(scene.there().resolve() / "nb")
        sources = [path for path in scene.files_there() if "__pycache__" not in path]
        assert sources == [".gitignore", "lib/x.py", "nb/data.csv", "nb/mymodel.py"]
        untouched = (scene.there() / "nb" / "data.csv").stat()
        kernel.run("open('result.txt', 'w').write('42')")
        write(scene.here, {"nb/mymodel.py": "class Net:\n    name = 'another'\n"})
        (scene.here / "lib" / "x.py").unlink()
        kernel.manager.restart_kernel()
        kernel.client.wait_for_ready(timeout=60)
        assert kernel.run(FIRST)[1] == "another 1,2\n"
    # What is sent is written under a new name: the same inode was not sent again.
    assert (scene.there() / "nb" / "data.csv").stat().st_ino == untouched.st_ino
    files = scene.files_there()
    assert "lib/x.py" not in files and "nb/result.txt" in files and "secret/key" not in files


def test_a_target_whose_policy_is_off_gets_nothing(scene: Scene) -> None:
    write(scene.here, {"a.py": ""})
    scene.place.policy = TargetPolicy(folder="off")
    with scene.kernel() as kernel:
        assert kernel.run("import os; print(os.getcwd())")[1].strip() == str(scene.host.home)
    assert not (scene.host.home / "genops").exists()
