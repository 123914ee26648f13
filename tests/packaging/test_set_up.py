"""The set-up of a checkout: steps side by side, pip's settings for uv, the folder that ``make lab`` opens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import uv_folder
from tests.support.scripts import dev, python_packages, steps, work_folder

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
ROOT = Path(__file__).parents[2]


def step(name: str, *command: str, needs: tuple[str, ...] = (), **options: bool) -> object:
    return steps.Step(name, lambda shell: shell.run(*command) and None, needs, **options)


def python_step(name: str, code: str, needs: tuple[str, ...] = (), **options: bool) -> object:
    return step(name, sys.executable, "-c", code, needs=needs, **options)


def test_steps_run_side_by_side_and_each_after_what_it_needs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meeting = (
        "import pathlib, sys, time\n"
        "mine, other = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])\n"
        "mine.touch()\n"
        "until = time.monotonic() + 60\n"
        "while not other.exists():\n"
        "    assert time.monotonic() < until, 'the other step was not started'\n"
        "    time.sleep(0.02)\n"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    last = f"import pathlib; assert pathlib.Path({one!r}).exists() and pathlib.Path({two!r}).exists()"
    steps.run_steps(
        "set-up",
        [
            python_step("last", last, needs=("one", "two")),
            step("one", sys.executable, "-c", meeting, one, two),
            step("two", sys.executable, "-c", meeting, two, one),
            steps.Step("idle", lambda shell: False),
        ],
    )
    output = capfd.readouterr().err
    table = re.findall(r"\[genops\]   (\w+) +\d+\.\d s  from", output)
    assert sorted(table) == ["last", "one", "two"] and table[-1] == "last"
    assert re.search(r"set-up took \d+ s \(\d+ cores", output)


def test_a_failed_step_is_shown_whole_and_stops_the_others(capfd: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    fails = "print('\\n'.join(f'line {n}' for n in range(500))); raise SystemExit(7)"
    with pytest.raises(SystemExit) as error:
        steps.run_steps(
            "set-up",
            [step("sleeper", *SLEEP), python_step("fails", fails), step("never", *SLEEP, needs=("fails",))],
        )
    output = capfd.readouterr().err
    assert error.value.code == 7
    assert time.monotonic() - began < 30
    assert "line 0\n" in output and "line 499\n" in output
    assert "fails failed:" in output.splitlines()[-1]
    assert "set-up took" not in output


def test_what_must_not_be_cut_ends_by_itself(tmp_path: Path) -> None:
    began, ended = tmp_path / "began", tmp_path / "ended"
    whole = (
        f"import pathlib, time\npathlib.Path({str(began)!r}).touch()\n"
        f"time.sleep(2)\npathlib.Path({str(ended)!r}).touch()"
    )
    fails = (
        f"import pathlib, time\nwhile not pathlib.Path({str(began)!r}).exists(): time.sleep(0.05)\n"
        "raise SystemExit(1)"
    )
    with pytest.raises(SystemExit):
        steps.run_steps("set-up", [python_step("whole", whole, stoppable=False), python_step("fails", fails)])
    assert ended.exists()


def test_of_checks_each_failure_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    checks = [python_step(name, f"raise SystemExit('{name} is wrong')") for name in ("one", "two")]
    with pytest.raises(SystemExit):
        steps.run_steps("lint", checks, at_once=1, keep_going=True)
    output = capfd.readouterr().err
    assert "one is wrong" in output and "two is wrong" in output


def test_a_step_beside_others_is_shown_and_its_failure_counts(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    met = tmp_path / "met"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(met)!r}).exists(): time.sleep(0.02)\nprint('jest')"
    with steps.beside(python_step("jest", waits)):
        met.touch()
    assert capfd.readouterr() == ("jest\n", "")
    fails = python_step("jest", "print('one is red'); raise SystemExit(3)")
    with pytest.raises(SystemExit) as ended, steps.beside(fails):
        pass
    told = capfd.readouterr()
    assert ended.value.code == 1 and told.out == "one is red\n" and "jest failed: " in told.err
    with pytest.raises(SystemExit) as ended, steps.beside(fails):  # both failed: both are told
        sys.exit(5)
    assert ended.value.code == 5 and "jest failed: " in capfd.readouterr().err
    with pytest.raises(KeyboardInterrupt), steps.beside(step("jest", *SLEEP)):
        raise KeyboardInterrupt


def test_running_steps_are_named_with_their_last_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "REPORT_S", 0.2)
    steps.run_steps(
        "set-up", [python_step("download", "import time; print('half is here', flush=True); time.sleep(2)")]
    )
    assert re.search(r"\d:\d\d  download \(\d s\): half is here", capfd.readouterr().err)


def test_a_set_up_that_was_cut_while_it_installed_begins_anew(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / ".venv"
    for name, value in (
        ("VENV", venv),
        ("PYTHON", venv / "bin" / "python"),
        ("VENV_STAMPS", venv / "stamps"),
        ("INSTALLING", venv / "installing"),
    ):
        monkeypatch.setattr(dev, name, value)
    shell = steps.Shell(steps.Step("virtual environment", dev.make_venv))
    shutil.copytree(environment.parents[1], venv, symlinks=True)
    (venv / "half-installed").touch()
    assert not dev.make_venv(shell)
    with pytest.raises(steps.StepStopped), dev.installing():
        raise steps.StepStopped
    assert dev.make_venv(shell)
    assert not (venv / "half-installed").exists() and dev.PYTHON.exists()
    with pytest.raises(steps.StepFailed), dev.installing():
        raise steps.StepFailed("no such package")
    assert not dev.make_venv(shell)  # pip and uv leave whole packages when they end by themselves


def test_a_second_set_up_of_a_checkout_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import dev, pathlib\n"
        "dev.STAMPS = pathlib.Path(sys.argv[2])\n"
        "with dev.alone(): print('alone', flush=True)\n"
    )
    monkeypatch.setattr(dev, "STAMPS", tmp_path)
    with dev.alone():
        second = subprocess.Popen(
            [sys.executable, "-c", code, str(ROOT / "scripts"), str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert second.stderr is not None
        assert "waiting for another set-up" in second.stderr.readline()
        assert second.poll() is None
    assert second.communicate(timeout=60)[0] == "alone\n"


# -- pip's settings for uv --------------------------------------------------------------------------


def make_wheel(folder: Path, version: str) -> None:
    """A wheel of nothing, named torch."""
    info = f"torch-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("torch.py", f"version = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One environment with pip: each new one compiles that anew."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "virtualenv", "-q", "--no-download", folder], check=True)
    return folder / "bin" / "python"


@pytest.fixture
def configured(environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without torch, whose pip has a folder of wheels, a constraint and no index."""
    for version in ("2.8.0", "2.9.0+cpu", "3.0.0"):
        make_wheel(tmp_path / "wheels", version)
    (tmp_path / "constraints.txt").write_text("torch<=2.9.0\n")
    (tmp_path / "pip.conf").write_text(
        f"[global]\nconstraint = {tmp_path}/constraints.txt\nno-color = true\n"
        f"[install]\nfind-links =\n    {tmp_path}/empty\n    {tmp_path}/wheels\n"
    )
    (tmp_path / "empty").mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    for installed in environment.parents[1].glob("lib/python*/site-packages/torch*"):
        shutil.rmtree(installed) if installed.is_dir() else installed.unlink()
    assert subprocess.run([environment, "-c", "import torch"], capture_output=True).returncode == 1
    return environment


def test_uv_takes_the_wheel_that_pip_is_configured_to_take(configured: Path) -> None:
    tools = uv_folder()
    if tools is None:
        pytest.skip("uv cannot be installed here")
    installer = python_packages.Installer(configured, tools.parent, lambda: dict(os.environ))
    shell = steps.Shell(steps.Step("Python packages", lambda shell: None))
    installer.install(shell, "torch>=2.4")
    assert installer.has_uv(shell)
    done = subprocess.run(
        [configured, "-c", "import torch; print(torch.version)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "2.9.0+cpu"


def test_constraints_of_ci_leave_those_of_pip_in_force(
    configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv took the newest torch, with gigabytes of CUDA: to it -c takes the place of the variable."""
    tools = uv_folder()
    if tools is None:
        pytest.skip("uv cannot be installed here")
    (tmp_path / "of-pip.txt").write_text("torch<=2.9.0\n")
    (tmp_path / "of-ci.txt").write_text("torch>=2.4\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "of-pip.txt"))
    installer = python_packages.Installer(configured, tools.parent, lambda: dict(os.environ))
    ran: list[tuple[str, ...]] = []
    shell = steps.Shell(steps.Step("Python packages", lambda shell: None))
    run = shell.run

    def remembered(*command: Any, **options: Any) -> Any:
        ran.append(tuple(map(str, command)))
        return run(*command, **options)

    monkeypatch.setattr(shell, "run", remembered)
    installer.install(shell, "-c", str(tmp_path / "of-ci.txt"), "torch>=2.4")
    assert [ran[-1][at + 1] for at, word in enumerate(ran[-1]) if word == "-c"] == [
        str(tmp_path / "of-ci.txt"),
        str(tmp_path / "of-pip.txt"),
    ]


def test_pip_installs_where_a_setting_has_no_word_in_uv(
    configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_ONLY_BINARY", ":all:")
    installer = python_packages.Installer(configured, tmp_path / "uv", lambda: dict(os.environ))
    shell = steps.Shell(steps.Step("Python packages", lambda shell: None))
    installer.install(shell, "torch>=2.4")
    assert not installer.has_uv(shell)
    assert "pip's setting" in capfd.readouterr().err
    done = subprocess.run(
        [configured, "-c", "import torch; print(torch.version)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "2.9.0+cpu"


def test_every_index_of_pip_counts_and_variables_win_over_files() -> None:
    settings = python_packages.read_pip_settings(
        "global.index-url='https://one'\n:env:.index-url='https://two'\n"
        ":env:.extra-index-url='https://a\\nhttps://b'\ndownload.pre='1'\nglobal.trusted_host=''"
    )
    assert python_packages.translate_for_uv(settings) == {
        "UV_DEFAULT_INDEX": "https://two",
        "UV_INDEX": "https://a https://b",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


# -- the folder that make lab opens ------------------------------------------------------------------


def test_examples_are_copied_once_and_a_persons_changes_stay(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, work = tmp_path / "examples", tmp_path / "work"
    source.mkdir()
    examples = [source / name for name in ("mine.ipynb", "untouched.ipynb")]
    for example in examples:
        example.write_text("first")
    work_folder.copy_examples(examples, work)
    (work / "mine.ipynb").write_text("with my outputs")
    work_folder.copy_examples(examples, work)
    assert capfd.readouterr().err == ""
    for example in examples:
        example.write_text("second")
    work_folder.copy_examples(examples, work)
    assert (work / "mine.ipynb").read_text() == "with my outputs"
    assert (work / "untouched.ipynb").read_text() == "second"
    assert "mine.ipynb has your changes and stays" in capfd.readouterr().err


def test_what_make_lab_copies_leaves_the_clone_clean() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "work/quickstart.ipynb"], cwd=ROOT)
    assert ignored.returncode == 0
    assert work_folder.WORK == ROOT / "work"
    # What make lab opens is there.
    assert [path.name for path in work_folder.find_examples()] == ["quickstart.ipynb"]


def test_check_runs_the_quick_files_of_every_package() -> None:
    found = dev.quick_files()
    assert all((ROOT / file).is_file() for file in found) and len(found) > 80
    assert {file.split("/")[1] for file in found} >= {
        "agent",
        "core",
        "experiments",
        "hosts",
        "kernels",
        "profiling",
    }
