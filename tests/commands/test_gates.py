"""``genops gates`` and ``genops models promote`` without a running Lab, as a CI job runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genops_lab.gates.plan_file import read_gates
from tests.gates.made import DEMO_RULES, DEMO_SENTENCE, Made, demo, pair
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.quota import fill, make_read_only, small_disk
from tests.support.warm import warm_workers

from .conftest import genops

BETTER = "kind: Gates\ndata: holdout\nrules:\n  - {rule: better, metric: accuracy}\n"


@pytest.fixture(scope="module")
def home(module_home: Home) -> Iterator[Home]:
    place_store(module_home.data)
    with warm_workers():
        yield module_home


@pytest.fixture(scope="module")
def made(home: Home) -> Made:
    folder = home.data / "mlflow"
    found = Made(f"sqlite:///{folder}/mlflow.db", (folder / "artifacts" / "gates").as_uri())
    found.compared("demo", *demo())
    found.compared("good", *pair(("A", 1000, 60, 5)))
    return found


def write(home: Home, text: str) -> Path:
    file = home.work / "gates.yaml"
    file.write_text(text)
    return file


def test_init_writes_an_example_and_the_jobs_and_overwrites_nothing(home: Home) -> None:
    (home.work / "gates.yaml").unlink(missing_ok=True)
    done = genops(home, "gates", "init", "--ci", "github")
    assert done.code == 0 and "commit the file before you train" in done.out
    assert read_gates((home.work / "gates.yaml").read_text()).against == "champion"
    assert (home.work / ".github/workflows/gates.yml").is_file()
    again = genops(home, "gates", "init")
    assert again.code == 4 and "gates.yaml exists and was not changed." in again.err
    assert (
        genops(home, "gates", "init", "--ci", "gitlab").code == 0 and (home.work / ".gitlab-ci.yml").is_file()
    )
    printed = genops(home, "gates", "init", "--print", "--json")
    assert list(printed.json) == ["gates.yaml"]


def test_the_demo_says_the_same_sentence_everywhere(home: Home, made: Made, tmp_path: Path) -> None:
    write(home, DEMO_RULES)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    checked = genops(home, "gates", "check", "demo", "--version", "2", "--markdown", str(summary))
    assert checked.code == 10 and DEMO_SENTENCE in " ".join(checked.out.split())
    assert summary.read_text().startswith("before\n") and DEMO_SENTENCE in summary.read_text()
    as_json = genops(home, "gates", "check", "demo", "--version", "2", "--json")
    assert as_json.code == 10 and as_json.json["headline"] == DEMO_SENTENCE
    promoted = genops(home, "models", "promote", "demo", "--version", "2", "--json")
    assert promoted.code == 10 and promoted.json["report"]["headline"] == DEMO_SENTENCE
    assert not promoted.json["moved"] and made.champion("demo") == "1"
    explained = genops(home, "gates", "explain", "demo")
    assert explained.code == 0 and "McNemar" in explained.out and "rows that became worse" in explained.out


def test_a_pass_promotes_and_other_verdicts_have_their_exit_codes(home: Home, made: Made) -> None:
    write(home, BETTER.replace("holdout", "other"))
    assert genops(home, "gates", "check", "good", "--version", "2").code == 12
    write(home, BETTER)
    assert genops(home, "gates", "check", "good", "--version", "2").code == 0
    done = genops(home, "models", "promote", "good", "--version", "2", "--reason", "5 points")
    assert done.code == 0 and "The alias champion of good now names version 2." in done.out
    assert made.champion("good") == "2"
    history = genops(home, "models", "history", "good", "--json").json
    assert history[0]["reason"] == "5 points" and history[0]["evidence"]["gates"]["verdict"] == "pass"
    again = genops(home, "models", "promote", "good", "--version", "2")
    assert again.code == 0 and "names version 2 already" in again.out


@pytest.mark.parametrize("trouble", [fill, make_read_only])
def test_a_report_that_cannot_be_written_is_no_failed_gate(
    home: Home, made: Made, tmp_path: Path, trouble: Callable[[Path], None]
) -> None:
    write(home, DEMO_RULES)
    with small_disk(tmp_path / "small", "8k") as disk:
        summary = disk / "summary.md"
        summary.write_text("before\n" + "." * 4089)  # a whole block
        trouble(disk)
        found = genops(home, "gates", "check", "demo", "--version", "2", "--json", "--markdown", str(summary))
        assert found.code == 7 and found.json["headline"] == DEMO_SENTENCE
        assert f"The report cannot be written to {summary}: " in found.err
        assert "The verdict above is kept: genops gates explain" in found.err
        assert summary.read_text() == "before\n" + "." * 4089
    assert DEMO_SENTENCE in genops(home, "gates", "explain", "demo", "--version", "2").out


def test_commands_of_the_file_run_in_its_folder(home: Home, made: Made) -> None:
    (home.work / "own.py").write_text(
        "import json, os, sys\n"
        "print(json.dumps({'message': os.environ['GENOPS_MODEL'] + ' ' + os.environ['GENOPS_VERSION']}))\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    name = made.compared("own", *pair(("A", 1000, 60, 5)))
    for code, verdict in ((0, "pass"), (7, "fail")):
        write(home, BETTER + f"  - {{rule: command, run: [python3, own.py, '{code}']}}\n")
        found = genops(home, "gates", "check", name, "--version", "2", "--json")
        assert found.json["verdict"] == verdict
        assert found.json["rules"][1]["detail"] == "It says: own 2"
    assert found.code == 10 and "the command python3 ends with exit code 7" in found.json["headline"]


def test_approval_needs_somebody_else(home: Home, made: Made) -> None:
    name = made.compared("approved", *pair(("A", 1000, 60, 5)))
    write(home, BETTER + "  - {rule: approval}\n")

    def verdict(**environment: str) -> tuple[int, str]:
        found = genops(home, "gates", "check", name, "--version", "2", "--json", **environment)
        return found.code, found.json["rules"][1]["clause"]

    assert verdict() == (12, "nobody who approves is known")
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_TRIGGERING_ACTOR": "ada"}
    assert verdict(**ci) == (10, "ada trained the model, and nobody else approves")
    assert verdict(**{**ci, "GITHUB_TRIGGERING_ACTOR": "bob"}) == (0, "bob approves (CI job)")
    assert verdict(GITLAB_CI="true", GITLAB_USER_LOGIN="eve") == (0, "eve approves (CI job)")


def test_wrong_files_are_told(home: Home, made: Made) -> None:
    write(home, BETTER.replace("metric", "metrc"))
    wrong = genops(home, "gates", "check", "good", "--version", "2", "--json")
    assert wrong.code == 2 and "gates.yaml, line 4, column 20: the key 'metrc' is unknown." in wrong.err
    assert json.loads(wrong.err.splitlines()[-1])["error"]["details"] == {"line": 4, "column": 20}
    missing = genops(home, "gates", "check", "good", "--file", "none.yaml")
    assert missing.code == 3 and "Write one: genops gates init" in missing.err
    write(home, BETTER)
    assert "No model is registered as 'goood'" in genops(home, "gates", "check", "goood").err


def test_an_mlflow_that_does_not_answer_is_no_verdict(home: Home) -> None:
    write(home, BETTER)
    found = genops(home, "gates", "check", "good", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert (found.code, found.out) == (5, "")
