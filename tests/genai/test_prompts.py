"""Prompts of a real embedded MLflow: saved, loaded, compared and pointed at from the Lab, a notebook and a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from genops_lab.genai.prompts.differences import words_changed
from genops_lab.runtime.prompts import turns_of
from tests.support.homes import Home, temporary_home
from tests.support.kernels import LabKernel, lab_kernel
from tests.support.lab_server import LabServer, free_port, running_lab
from tests.support.openai_stub import OpenAIStub
from tests.support.rooms import eventually
from tests.support.warm import program

from .answering import Answering
from .labs import add_data_set

CHAT = "system: Answer in one word.\nuser:\nWhat is the capital of {{country}}?"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with temporary_home() as found:
        yield found


@pytest.fixture(scope="module")
def lab(home: Home) -> Iterator[LabServer]:
    with running_lab(home) as found:
        yield found


@pytest.fixture(scope="module")
def kernel(lab: LabServer) -> Iterator[LabKernel]:
    with lab_kernel(lab, "python3") as found:
        found.ok("%load_ext genops_lab")
        yield found


@pytest.fixture(scope="module")
def mlflow(lab: LabServer) -> Any:
    """MLflow's own client of the same store."""
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{lab.home.data}/mlflow/mlflow.db")


def save(lab: LabServer, name: str, text: str, **more: Any) -> tuple[int, Any]:
    kind, turns = turns_of(text)
    return lab.request("POST", f"genops/v1/prompts/{name}/versions", {"kind": kind, "turns": turns, **more})


def genops(lab: LabServer, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments], capture_output=True, text=True, cwd=lab.home.work,
        env=lab.home.environment(), input=stdin, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_mlflow_reads_what_was_saved_here_and_the_lab_what_mlflow_saved(lab: LabServer, mlflow: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    status, saved = save(
        lab, "capital", CHAT, message="first", tags={"team": "geo"}, response_format=schema, tools=tools,
        settings={"temperature": 0.5, "max_tokens": 20, "seed": 7}, alias="production", expected="",
    )  # fmt: skip
    assert status == 200, saved
    assert saved["version"]["variables"] == ["country"]
    theirs = mlflow.load_prompt("prompts:/capital@production")
    assert theirs.template[0] == {"role": "system", "content": "Answer in one word."}
    assert theirs.response_format == schema
    assert theirs.model_config == {"temperature": 0.5, "max_tokens": 20, "seed": 7, "tools": tools}
    assert (theirs.commit_message, theirs.tags) == ("first", {"team": "geo"})

    mlflow.register_prompt("greeting", "Hello {{ user.name }}, {% if late %}good evening{% endif %}")
    mlflow.set_prompt_alias("greeting", "best", 1)
    listed = {each["name"]: each for each in lab.get("genops/v1/prompts")["items"]}
    assert listed["greeting"]["aliases"] == {"best": "1"}
    assert listed["capital"]["newest"] == "1"
    found = lab.get("genops/v1/prompts/greeting/versions/best")
    assert (found["kind"], found["variables"], found["templates"]) == ("text", ["user.name"], True)
    # The pages of models have no prompts, and a model is no prompt.
    assert lab.get("genops/v1/models")["items"] == []
    mlflow.create_registered_model("digits")
    assert lab.request("GET", "genops/v1/prompts/digits/versions/1")[0] == 404
    assert save(lab, "digits", "Hello")[0] == 409


def test_two_people_save_at_the_same_time_and_lose_nothing(lab: LabServer) -> None:
    assert save(lab, "shared", "Hello")[1]["version"]["version"] == "1"
    assert save(lab, "shared", "Hello")[1]["made"] is False
    assert save(lab, "shared", "Hello Ada", expected="1")[0] == 200
    status, refused = save(lab, "shared", "Hello Bob", expected="1")
    assert (status, refused["error"]["code"], refused["error"]["details"]) == (
        409, "prompt_changed", {"version": "2"},
    )  # fmt: skip
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: save(lab, "shared", f"Text {n}"), range(4)))
    assert [status for status, _ in done] == [200] * 4
    versions = lab.get("genops/v1/prompts/shared/versions")["items"]
    assert [each["version"] for each in versions] == ["6", "5", "4", "3", "2", "1"]
    assert {each["turns"][0]["content"] for each in versions[:4]} == {f"Text {n}" for n in range(4)}


def test_an_alias_moves_only_from_where_the_person_saw_it(lab: LabServer, mlflow: Any) -> None:
    for text in ("a", "b"):
        save(lab, "moved", text)
    path = "genops/v1/prompts/moved/aliases/live"
    assert lab.request("PUT", path, {"version": "1", "expected": ""})[0] == 200
    status, refused = lab.request("PUT", path, {"version": "latest", "expected": ""})
    assert (status, refused["error"]["code"]) == (409, "alias_moved")
    assert lab.request("PUT", path, {"version": "latest", "expected": "1"})[1]["aliases"] == {"live": "2"}
    # MLflow deletes the version meanwhile.
    mlflow.delete_prompt_alias("moved", "live")
    mlflow.delete_prompt_version("moved", "2")
    status, gone = lab.request("PUT", path, {"version": "2"})
    assert (status, gone["error"]["message"]) == (
        404, "The prompt 'moved' has no version 2: it was never saved, or it was deleted.",
    )  # fmt: skip
    assert lab.get("genops/v1/prompts/moved/versions/latest")["version"] == "1"


def test_content_that_cannot_be_kept_is_refused(lab: LabServer) -> None:
    turn = {"role": "user", "content": "x"}
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("a%20b", {"turns": [turn]}, "cannot be the name"),
        ("bad", {"turns": []}, "The prompt is empty"),
        ("bad", {"turns": [{"role": "The user", "content": "x"}]}, "is no role"),
        ("bad", {"turns": [{"role": "user", "content": "x" * 200_000}]}, "at most 100,000"),
        ("bad", {"turns": [turn], "settings": {"temperature": -1}}, "temperature"),
        ("bad", {"turns": [turn], "alias": "latest"}, "reserves the alias"),
    ]
    for name, body, message in cases:
        status, refused = lab.request("POST", f"genops/v1/prompts/{name}/versions", body)
        assert status == 400 and message in refused["error"]["message"], refused
    assert lab.request("GET", "genops/v1/prompts/bad/versions")[0] == 404


def test_a_cell_becomes_a_version_and_its_run_keeps_what_it_loaded(
    lab: LabServer, kernel: LabKernel, mlflow: Any
) -> None:
    kernel.ok(f"%%prompt trip --message first --alias live\n{CHAT}")
    kernel.ok(
        "%%track --name asks --experiment prompts\n"
        "import genops\n"
        "_prompt = genops.prompts.load('trip@live')\n"
        "print(_prompt.messages(country='Peru')[1]['content'])\n"
        "try:\n    _prompt.format()\nexcept genops.GenOpsError as error:\n    print(error)"
    )

    def linked() -> list[Any]:
        found = mlflow.get_experiment_by_name("prompts")
        runs = mlflow.search_runs([found.experiment_id]) if found else []
        return [run.data.tags.get("mlflow.linkedPrompts") for run in runs]

    tags = eventually(linked, lambda tags: any(tags))
    assert json.loads(tags[0]) == [{"name": "trip", "version": "1"}]
    wrong = kernel.run("genops.prompts.load('tripp')")
    assert "Did you mean trip?" in str(wrong)


def test_commands_save_compare_and_delete(lab: LabServer) -> None:
    code, out, err = genops(lab, "prompts", "add", "city", "--file", "-", "--json", stdin=CHAT)
    assert code == 0 and json.loads(out)["version"]["version"] == "1", err
    changed = CHAT.replace("one word", "three words")
    settings = ("--settings", '{"temperature": 0}')
    assert genops(lab, "prompts", "add", "city", "--text", changed, "--expected", "1", *settings)[0] == 0
    code, out, err = genops(lab, "prompts", "diff", "city", "1")
    assert code == 0 and "Answer in [-one-]{+three+} [-word-]{+words+}." in out, out + err
    assert json.loads(genops(lab, "prompts", "show", "city", "--json")[1])["settings"] == {"temperature": 0}
    assert genops(lab, "prompts", "alias", "city", "live", "1")[0] == 0
    assert genops(lab, "prompts", "delete", "city@live")[0] == 4
    assert genops(lab, "prompts", "delete", "city@live", "--yes")[0] == 0
    assert "live" not in genops(lab, "prompts", "show", "city", "--versions")[1]
    assert genops(lab, "prompts", "delete", "city", "--yes")[0] == 0
    assert genops(lab, "prompts", "show", "city")[0] == 3


def test_versions_run_on_rows_with_several_models(lab: LabServer) -> None:
    save(lab, "asked", "Capital of {{country}}?", settings={"max_tokens": 20})
    save(lab, "asked", "The capital of {{country}}, please.", settings={"max_tokens": 30})
    data = lab.home.work / "rows.jsonl"
    data.write_text("".join(json.dumps({"country": each}) + "\n" for each in ("Peru", "Fiji", "Oman")))
    code, _, _ = genops(lab, "secrets", "set", "stub", stdin="stub-key\n")
    assert code == 0
    with OpenAIStub(always_fails=("Fiji",)) as stub:
        command = (
            "prompts", "run", "asked", "--data", str(data), "--version", "1", "--version", "2", "--url", stub.url,
            "--model", "stub-1", "--key", "stub", "--json",
        )  # fmt: skip
        # Nothing is asked before the person has agreed to the cost.
        code, _, err = genops(lab, *command)
        assert code == 4 and "6 calls with at most" in err and "The price is unknown" in err
        assert stub.status()["answered"] == 0
        code, out, err = genops(lab, *command, "--yes", "--price-input", "1", "--price-output", "2")
        assert code == 0 and "at most 0.000" in err and "4 of 6 answers, 2 calls failed." in err, err
        # An endpoint of the list brings its key, its limits and its price.
        added = genops(
            lab, "endpoints", "add", "small", "--url", stub.url, "--model", "stub-1", "--key-secret", "stub",
            "--price-input", "1000", "--price-output", "1000",
        )  # fmt: skip
        assert added[0] == 0, added
        named = ("prompts", "run", "asked", "--data", str(data), "--endpoint", "small", "--json")
        code, _, err = genops(lab, *named)
        assert code == 4 and "3 calls with at most" in err and "at most 0.303 USD." in err
        code, by_name, err = genops(lab, *named, "--yes")
        assert code == 0 and "2 of 3 answers, 1 calls failed." in err, err
        assert json.loads(by_name)["columns"] == ["v2 small"]
    table = json.loads(out)
    assert table["columns"] == ["v1 stub-1", "v2 stub-1"]
    states = {
        each["row"]["country"]: [answer["state"] for answer in each["answers"]] for each in table["rows"]
    }
    assert states == {"Peru": ["answered"] * 2, "Fiji": ["failed"] * 2, "Oman": ["answered"] * 2}
    # A row without a value of a variable is named before any call.
    data.write_text('{"city": "Lima"}\n')
    code, _, err = genops(lab, *command, "--yes")
    assert code == 2 and "The row 1 has no value for country" in err


def test_versions_run_on_rows_that_mlflow_has(lab: LabServer, mlflow: Any) -> None:
    save(lab, "of-mlflow", "Capital of {{country}}?", settings={"max_tokens": 20})
    add_data_set(mlflow, "countries", [({"country": each}, "?") for each in ("Peru", "Fiji", "Oman")])
    listed = lab.get("genops/v1/data-sets")["items"]
    assert [(each["name"], each["rows"]) for each in listed] == [("countries", 3)]
    asked = Answering(lambda number, text, headers: (200, "Lima", 0.0))
    with asked.serving() as url:
        command = ("prompts", "run", "of-mlflow", "--url", url, "--model", "stub", "--json", "--data")
        code, out, err = genops(lab, *command, "dataset:countries", "--rows", "2", "--yes")
        assert code == 0, err
        table = json.loads(out)
        said = f"2 rows of data with the digest {table['digest'][:12]}: 2 calls with at most"
        assert said in err and (table["row_count"], table["data"]) == (2, "dataset:countries")
        assert len(asked.said) == 2 and set(asked.said) < {
            f"Capital of {each}?" for each in ("Peru", "Fiji", "Oman")
        }
        # What is kept is what was asked: a run that goes on does not take changed rows.
        assert all("record_id" in each["row"] for each in table["rows"])
        code, _, err = genops(lab, *command, "dataset:nothing", "--yes")
        assert code == 3 and "MLflow has no data set 'nothing'." in err
        code, _, err = genops(lab, *command, "traces: name = 'nothing'", "--yes")
        assert code == 2 and "has no rows" in err
    assert len(asked.said) == 2


def countries(lab: LabServer, count: int) -> str:
    data = lab.home.work / "countries.jsonl"
    data.write_text("".join(json.dumps({"country": f"Land {at}."}) + "\n" for at in range(count)))
    return str(data)


def begun_trial(lab: LabServer, name: str, url: str, count: int) -> dict[str, Any]:
    """Begin to run a prompt on rows, four at once."""
    model = {"name": "stub", "url": url, "model": "stub", "at_once": 4}
    body = {"versions": ["latest"], "models": [model], "data": countries(lab, count), "rows": count}
    status, task = lab.request("POST", f"genops/v1/prompts/{name}/trials", body)
    assert status == 200, task
    found: dict[str, Any] = task
    return found


def trial_of(lab: LabServer, task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = lab.get(
        f"genops/v1/prompt-trials/{task['subject'].removeprefix('prompt-trial:')}"
    )
    return found


def test_a_cancelled_trial_asks_only_for_the_missing_answers(lab: LabServer) -> None:
    save(lab, "cancelled", "Capital of {{country}}", settings={"max_tokens": 5})
    hanging = Answering(lambda number, text, headers: (200, "Lima" if number < 9 else None, 0.0))
    with hanging.serving() as url:
        task = begun_trial(lab, "cancelled", url, 20)
        eventually(lambda: (len(hanging.said), trial_of(lab, task)["answered"]), (13, 9).__eq__)
        status, cancelled = lab.request("POST", f"genops/v1/tasks/{task['id']}/cancel")
        assert status == 200 and cancelled["state"] == "cancelled"
        trial = trial_of(lab, task)
        assert (trial["wanted"], trial["answered"], trial["failed"]) == (20, 9, 0)
        listed = lab.get("genops/v1/prompt-trials?name=cancelled")["items"]
        assert [each["id"] for each in listed] == [trial["id"]] and "rows" not in listed[0]
        said = lab.get(f"genops/v1/tasks/{task['id']}/log")["lines"]
        assert f"genops prompts resume {trial['id']}" in said[-1]
        answered = {
            f"Capital of {each['row']['country']}"
            for each in trial["rows"]
            if each["answers"][0]["state"] == "answered"
        }
        hanging.said.clear()
        hanging.reply = lambda number, text, headers: (500 if "Land 15." in text else 200, "Lima", 0.0)
        code, out, err = genops(lab, "prompts", "resume", trial["id"], "--json")
        assert code == 0, err
        assert (
            "9 answers are there already." in err and "4 calls were in flight when they were stopped" in err
        )
        assert "19 of 20 answers, 1 calls failed." in err
        assert not answered & set(hanging.said)
        # Of what is missing each is asked once; the failing one is tried four times.
        assert len(hanging.said) == 11 - 1 + 4
        states = [each["answers"][0]["state"] for each in json.loads(out)["rows"]]
        assert (states.count("answered"), states.count("failed")) == (19, 1)
        # A whole trial that is resumed asks for failed calls alone.
        hanging.said.clear()
        hanging.reply = lambda number, text, headers: (200, "Lima", 0.0)
        code, out, err = genops(lab, "prompts", "resume", trial["id"], "--json")
        assert code == 0 and "20 of 20 answers, 0 calls failed." in err, err
        assert hanging.said == ["Capital of Land 15."]
    code, _, err = genops(lab, "prompts", "resume", "0123456789ab")
    assert code == 3 and "There is neither a run on rows nor an optimization" in err


def test_a_model_that_is_away_holds_up_no_other_and_is_named(lab: LabServer) -> None:
    save(lab, "away", "Capital of {{country}}", settings={"max_tokens": 5})
    with Answering(lambda number, text, headers: (200, "Lima", 0.0)).serving() as url:
        models = [
            {"name": "gone", "url": f"http://127.0.0.1:{free_port()}/v1", "model": "stub"},
            {"name": "here", "url": url, "model": "stub"},
        ]
        body = {"versions": ["latest"], "models": models, "data": countries(lab, 3), "rows": 3}
        status, task = lab.request("POST", "genops/v1/prompts/away/trials", body)
        assert status == 200, task
        eventually(lambda: trial_of(lab, task)["answered"], (3).__eq__)
        eventually(
            lambda: lab.get(f"genops/v1/tasks/{task['id']}")["message"],
            lambda said: said.startswith("3 of 6 answers. v1 gone is asked again until it answers: "),
        )
        assert lab.request("POST", f"genops/v1/tasks/{task['id']}/cancel")[0] == 200
    states = [[answer["state"] for answer in each["answers"]] for each in trial_of(lab, task)["rows"]]
    assert states == [["missing", "answered"]] * 3


def test_a_killed_lab_goes_on_with_its_trial() -> None:
    hanging = Answering(lambda number, text, headers: (200, "Lima" if number < 9 else None, 0.0))
    with temporary_home() as own, hanging.serving() as url:
        with running_lab(own) as lab:
            save(lab, "killed", "Capital of {{country}}", settings={"max_tokens": 5})
            task = begun_trial(lab, "killed", url, 20)
            eventually(lambda: (len(hanging.said), trial_of(lab, task)["answered"]), (13, 9).__eq__)
            lab.stop(signal.SIGKILL)
        first = hanging.said[:9]
        hanging.said.clear()
        hanging.reply = lambda number, text, headers: (200, "Lima", 0.0)
        with running_lab(own) as lab:
            eventually(lambda: lab.get(f"genops/v1/tasks/{task['id']}")["state"], "done".__eq__)
            assert trial_of(lab, task)["answered"] == 20
            assert not set(first) & set(hanging.said) and len(hanging.said) == 11


def test_a_word_diff_gives_both_texts_back() -> None:
    one = "First line.\nSecond line, with words.\nThird\n" * 40
    other = one.replace("Second", "Another", 3) + "a last one"
    for before, after in ((one, other), ("", "x"), ("x", ""), ("x " * 9000, "y " * 9000)):
        pieces = words_changed(before, after)
        assert "".join(piece.text for piece in pieces if piece.change != "added") == before
        assert "".join(piece.text for piece in pieces if piece.change != "removed") == after
