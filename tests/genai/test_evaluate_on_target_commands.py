"""``genops evaluate --on`` and ``%%evaluate --on`` of a real Lab that is connected to a real sshd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.rooms import eventually
from tests.support.sshd import Sshd
from tests.support.warm import program

from .answering import Answering
from .evaluating_on_target import KEY, evaluating_host, file_of, home_with_key, left_on


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with home_with_key() as found:
        yield found


@pytest.fixture(scope="module")
def host(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with evaluating_host(home, tmp_path_factory.mktemp("index")) as found:
        yield found


@pytest.fixture(scope="module")
def lab(home: Home, host: Sshd) -> Iterator[LabServer]:
    with running_lab(home) as found:
        target = {"name": "box", "kind": "ssh", "host": host.alias, "python": sys.executable}
        status, answer = found.request("POST", "genops/v1/targets", target)
        assert status == 200, answer
        found.request("POST", "genops/v1/targets/box/connect")
        eventually(lambda: found.get("genops/v1/targets/box")["state"], lambda state: state == "up")
        yield found


def test_the_command_evaluates_there_says_which_key_goes_and_deletes(
    home: Home, host: Sshd, lab: LabServer, tmp_path: Path
) -> None:
    keys = set[str]()

    def reply(_number: int, text: str, headers: dict[str, str]) -> tuple[int, str, float]:
        keys.add(headers["authorization"])
        return 200, text.split()[-1], 0.0

    def genops(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*program("genops_lab.commands.main"), "evaluate", *words, "--json"]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=home.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    with Answering(reply).serving() as url:
        (tmp_path / "e.yaml").write_text(file_of(tmp_path, url).text)
        done = genops("e.yaml", "--on", "box")
    assert done.returncode == 0, done.stderr
    assert "The key of a goes to box." in done.stderr and KEY not in done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert (found["evaluation"]["target"], found["evaluation"]["stage"]) == ("box", "done")
    assert found["report"]["scored"][0]["mean"]["value"] == 1.0
    assert keys == {f"Bearer {KEY}"} and left_on(host) == []
    id = found["evaluation"]["id"]
    deleted = genops("delete", id, "--yes")
    assert json.loads(deleted.stdout) == {"deleted": id, "left": ""}, deleted.stderr


def test_a_cell_evaluates_there_and_shows_the_card(host: Sshd, lab: LabServer) -> None:
    stub = Answering(lambda _number, text, _headers: (200, text.split()[-1], 0.0))
    with stub.serving() as url, lab_kernel(lab, "python3") as kernel:
        kernel.ok(
            "%load_ext genops_lab\nrows = [{'q': f'Question {at}', 'expected': str(at)} for at in range(12)]"
        )
        text = f'prompt: "{{{{q}}}}"\nmodels: {{a: {{url: "{url}", model: stub}}}}\nscorers: [{{scorer: exact}}]\n'
        cell = kernel.ok(f"%%evaluate rows --name numbers --on box\n{text}")
    card = cell.of("execute_result")[0]["data"]["text/html"]
    assert "Evaluation numbers" in card and "No key goes to box." in cell.stream("stderr")
    (kept,) = [each for each in lab.get("genops/v1/answer-evaluations")["items"] if each["name"] == "numbers"]
    assert (kept["target"], kept["rows"], kept["models"][0]["answered"]) == ("box", 12, 12)
    assert len(stub.said) == 12 and left_on(host) == []
