"""What runs keep, and notebooks made of it: real kernels, scripts and headless runs on a real Lab, and ``genops``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.redaction.texts import marks_in
from tests.support.homes import Home
from tests.support.kernels import lab_kernel
from tests.support.lab_server import LabServer, running_lab
from tests.support.planted import planted_secrets
from tests.support.warm import forked_kernels, program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    """A Lab whose folder is a git repository."""
    git(module_home.work, module_home, "init", "-q", "-b", "trunk")
    (module_home.work / "model.py").write_text("width = 1\n")
    (module_home.work / "requirements.txt").write_text("numpy\n")
    (module_home.work / ".gitignore").write_text("*.ipynb\n.ipynb_checkpoints/\n")
    git(module_home.work, module_home, "add", ".")
    git(module_home.work, module_home, "commit", "-qm", "first")
    with running_lab(module_home, env=forked_kernels(module_home)) as found:
        yield found


def git(folder: Path, home: Home, *arguments: str) -> str:
    """Git, as somebody."""
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments],
        cwd=folder, env=home.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def genops(server: LabServer, *arguments: str) -> tuple[int, str, str]:
    """The program in the Lab's folder: its exit code and output."""
    done = subprocess.run(
        [*program("genops_lab.commands.main"), *arguments],
        cwd=server.home.work, env=server.home.environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def ended(server: LabServer, name: str) -> dict[str, Any]:
    """The run of this name, when it has ended."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for run in server.get("genops/runs")["runs"]:
            if run["name"] == name and run["status"] != "RUNNING":
                return dict(run)
        time.sleep(0.1)
    raise AssertionError(f"no run {name} has ended: {server.get('genops/runs')}")


def restored(server: LabServer, run: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The operation's answer, and its notebook, which must be valid."""
    import nbformat

    answer = server.get(f"genops/runs/{run['run_id']}/notebook")
    notebook = nbformat.from_dict(answer["notebook"])
    nbformat.validate(notebook)
    return answer, notebook


def sources(notebook: Any) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def headings(notebook: Any) -> str:
    return str(notebook.cells[0].source)


def artifact(server: LabServer, run: dict[str, Any], path: str) -> str:
    """A file of the run, from the embedded MLflow's folder."""
    (found,) = (server.home.data / "mlflow" / "artifacts").glob(f"*/{run['run_id']}/artifacts/{path}")
    return found.read_text(encoding="utf-8")


def test_a_restored_notebook_has_exactly_the_cells_that_ran(server: LabServer) -> None:
    (server.home.work / "model.py").write_text("width = 2\n")
    (server.home.work / "new.py").write_text("depth = 3\n")
    cells = {
        "load": "%load_ext genops_lab",
        "first": 'x = \'ünï\'  # nothing redacted\n\n\ny = """a\n\tb"""',
        "second": "%%track --name exact --experiment Restoring\nimport genops\nlr = 0.1\n"
        "genops.log({'loss': 1.0})\nfingerprint = genops.dataset('model.py', context='training')",
    }
    with lab_kernel(server, notebook="exact.ipynb") as kernel:
        for cell_id, code in cells.items():
            kernel.ok(code, cell_id)
        run = ended(server, "exact")
        kernel.ok("after = 'not part of the run'")
    answer, notebook = restored(server, run)
    assert sources(notebook) == list(cells.values())
    assert (answer["cells"], answer["redacted"], answer["altered"]) == (3, {}, 0)
    kept = json.loads(artifact(server, run, "source/cells.json"))
    assert [cell["cell_id"] for cell in kept] == list(cells)
    assert [cell["source"] for cell in kept] == sources(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    commit = git(server.home.work, server.home, "rev-parse", "HEAD")
    head = headings(notebook)
    for expected in (
        run["run_id"],
        commit,
        "`trunk`",
        "model.py",
        "git apply",
        "requirements.txt",
        "same packages",
    ):
        assert expected in head, (expected, head)
    (dataset,) = [line for line in head.splitlines() if line.startswith("| `model.py`")]
    assert "training" in dataset


def test_the_command_writes_it_under_a_free_name_and_the_changes_apply(
    server: LabServer, tmp_path: Path
) -> None:
    import nbformat

    (server.home.work / "model.py").write_text("width = 4\n")
    (server.home.work / "fresh.py").write_text("depth = 5\n")
    with lab_kernel(server, notebook="command.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok("%%track --name command\nz = 1")
        run = ended(server, "command")
        shown = kernel.ok("%genops runs restore latest --json")
    path = Path(json.loads(shown.stream("stdout"))["path"])
    assert path.name == f"command-{run['run_id'][:8]}.ipynb"
    code, out, err = genops(server, "runs", "restore", run["run_id"], "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["path"] == f"{path.stem}-1.ipynb" and answer["cells"] == 2 and "notebook" not in answer
    for name in (path.name, answer["path"]):
        written = nbformat.read(server.home.work / name, as_version=4)
        nbformat.validate(written)
        assert sources(written)[-1] == "%%track --name command\nz = 1"
    code, _, err = genops(server, "runs", "restore", run["run_id"], "--output", path.name, "--json")
    assert code == 4 and f"{path.stem}-2.ipynb" in err
    patch = tmp_path / "kept.patch"
    code, out, err = genops(server, "runs", "restore", run["run_id"][:12], "--diff", str(patch))
    assert code == 0 and "git apply" in out, err
    clone = tmp_path / "clone"
    git(server.home.work, server.home, "clone", "-q", str(server.home.work), str(clone))
    git(clone, server.home, "apply", str(patch))
    assert (clone / "model.py").read_text() == "width = 4\n"
    assert (clone / "fresh.py").read_text() == "depth = 5\n"


def test_fifty_planted_secrets_are_in_nothing_that_is_written(server: LabServer) -> None:
    planted = planted_secrets()
    by_kind = {one.kind: one.secret for one in planted}
    work = server.home.work
    body = "\n".join(f"    {one.line}" for one in planted)
    (work / "model.py").write_text("width = 1\n" + "\n".join(one.line for one in planted) + "\n")
    (work / "leaky.py").write_text(f"def never():\n{body}\n")
    (work / "requirements.txt").write_text(
        f"--index-url https://ada:{by_kind['password in a URL']}@index.test/simple\n"
        f"# {by_kind['github fine']}\nnumpy\n"
    )
    in_variable, in_environment, made_later = "swordfish at sea", "correct-horse", "battery.staple"
    cells = [
        "%load_ext genops_lab",
        f"if False:\n{body}",
        f"import os\nos.environ['MY_SERVICE_TOKEN'] = {in_environment!r}\ndb = {{'pass': None}}\n"
        f"api_key = ''.join(['swordfish', ' at sea'])\nprint(len({in_variable!r}))",
        f"%%track --name planted --param note={by_kind['openai']} --tag t={by_kind['anthropic']}\n"
        f"import genops\ntitle = {by_kind['stripe']!r}\nalias = api_key\nkey_secret = 'hunter2hunter2'\n"
        f"genops.params({{'given': {by_kind['google']!r}, 'client_secret': {made_later!r}, 'copied': api_key}})\n"
        f"genops.tag({{'more': {in_environment!r}}})\ngenops.log({{'loss': 1}})\n"
        f"my_password = {made_later!r}",
    ]
    try:
        with lab_kernel(server, notebook="planted.ipynb") as kernel:
            for code in cells:
                kernel.ok(code)
            run = ended(server, "planted")
    finally:
        for name in ("leaky.py", "requirements.txt", "model.py"):
            (work / name).write_text("\n")
    answer, notebook = restored(server, run)
    secrets = [one.secret for one in planted] + [in_variable, in_environment, made_later, "hunter2hunter2"]
    assert len(set(secrets)) > 50
    skipped = ("work", "ipython")  # the person's own files, and IPython's own history
    looked_at = 0
    for file in server.home.path.rglob("*"):
        if not file.is_file() or file.relative_to(server.home.path).parts[0] in skipped:
            continue
        try:
            content = file.read_bytes()
        except FileNotFoundError:  # a journal of SQLite
            continue
        looked_at += len(content)
        assert [secret for secret in secrets if secret.encode() in content] == [], file
    assert looked_at > 100_000
    said = json.dumps(answer) + json.dumps(run)
    assert [secret for secret in secrets if secret in said] == []
    assert set(run["params"]) == {"note", "title", "alias", "given", "client_secret", "copied"}
    for path in ("source/uncommitted.patch", "source/requirements.txt", "source/cells.json"):
        assert marks_in(artifact(server, run, path)), path
    # The restored notebook says where.
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == len(cells) and sources(notebook)[0] == cells[0]
    assert sum(code[1].metadata.genops.redacted.values()) >= 50
    assert sum(answer["redacted"].values()) == sum(sum(marks_in(cell.source).values()) for cell in code)
    before = notebook.cells[notebook.cells.index(code[1]) - 1]
    assert before.cell_type == "markdown" and "incomplete" in before.source
    assert "secrets were removed" in headings(notebook)


def test_without_source_nothing_of_it_is_kept_and_that_is_said(server: LabServer) -> None:
    with lab_kernel(server, notebook="without.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok("%%track --name without --no-source\nlr = 0.1")
        run = ended(server, "without")
    assert run["git_commit"] and run["params"] == {"lr": "0.1"}
    assert server.get(f"genops/runs/{run['run_id']}")["artifacts"] == []
    code, _, err = genops(server, "runs", "restore", run["run_id"], "--json")
    assert code == 3 and "has no cells" in err and "--no-source" in err
    code, _, err = genops(server, "runs", "restore", run["run_id"], "--diff", "x.patch")
    assert code == 3 and "no uncommitted changes" in err
    assert not (server.home.work / "x.patch").exists()


def test_a_notebook_that_was_renamed_is_restored(server: LabServer) -> None:
    with lab_kernel(server, notebook="old-name.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab\nimport genops")
        kernel.ok("run = genops.start('renamed')\nwidth = 1")
        body = {"path": "new-name.ipynb", "name": "new-name.ipynb", "type": "notebook"}
        status, answer = server.request("PATCH", f"api/sessions/{kernel.session_id}", body)
        assert status == 200, answer
        kernel.ok("width = 2")
        kernel.ok("genops.end()")
        run = ended(server, "renamed")
    _, notebook = restored(server, run)
    # All cells up to the end, also those that ran after the start.
    assert sources(notebook)[1:] == ["run = genops.start('renamed')\nwidth = 1", "width = 2", "genops.end()"]


HEADLESS = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
"""


@pytest.mark.parametrize("runner", ["nbclient", pytest.param("papermill", marks=pytest.mark.exhaustive)])
def test_headless_runs_are_restored(server: LabServer, runner: str) -> None:
    import nbformat

    if runner == "papermill":
        pytest.importorskip("papermill")
    cells = ["%load_ext genops_lab", "width = 1", f"%%track --name by-{runner}\nlr = 0.5 * width"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = server.home.work / f"headless-{runner}.ipynb"
    nbformat.write(notebook, path)
    command = (
        ["-c", HEADLESS, str(path)] if runner == "nbclient" else ["-m", "papermill", str(path), str(path)]
    )
    done = subprocess.run(
        [sys.executable, *command], cwd=server.home.work, env=server.home.environment(), capture_output=True,
        text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, made = restored(server, ended(server, f"by-{runner}"))
    assert sources(made) == cells


def test_a_plain_script_is_restored_as_it_was(server: LabServer) -> None:
    script = server.home.work / "train.py"
    text = "# ünï\nimport genops\n\nwith genops.run('by-script', params={'lr': 0.1}):\n    genops.log({'loss': 1})\n"
    script.write_text(text + "open(__file__, 'w').write('changed while it ran')\n", encoding="utf-8")
    text = script.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=server.home.work, env=server.home.environment(), capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = ended(server, "by-script")
    _, made = restored(server, run)
    assert sources(made) == [text]
    assert artifact(server, run, "source/notebook.py") == text
    assert json.loads(artifact(server, run, "source/record.json"))["script"] == str(script)


def test_a_cell_that_was_changed_in_the_store_is_marked(server: LabServer) -> None:
    with lab_kernel(server, notebook="altered.ipynb") as kernel:
        kernel.ok("%load_ext genops_lab")
        kernel.ok("%%track --name altered\nz = 1")
        run = ended(server, "altered")
    (file,) = (server.home.data / "mlflow" / "artifacts").glob(
        f"*/{run['run_id']}/artifacts/source/cells.json"
    )
    file.write_text(file.read_text().replace("z = 1", "z = 2"))
    answer, notebook = restored(server, run)
    assert answer["altered"] == 1
    assert "changed after the run" in notebook.cells[-2].source
    file.write_text("no JSON")
    status, expected = server.request("GET", f"genops/runs/{run['run_id']}/notebook")
    assert status == 500 and "cannot be read" in expected["error"]["message"]
