"""Environments built on a real sshd's host and used by the target's kernels."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotAllowed
from genops_lab.core.models import Task
from genops_lab.hosts import connection_check, providers
from genops_lab.hosts.models import (
    Additions,
    KernelLogQuery,
    NewEnvironment,
    NewTarget,
    RemoveQuery,
    SourcesQuery,
)
from tests.support import toy_provider
from tests.support.application import Lab
from tests.support.environments import index_variables, uv_folder
from tests.support.homes import Home
from tests.support.packages import package_folder, wheel, without_index
from tests.support.sshd import Sshd, make_key

from .labs import SLEEPER, connected, kernels_of, on, open_lab, report_of, run, start, steps, until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host here ends what its users leave behind some seconds after they leave."""
    monkeypatch.setattr(connection_check, "LOGOUT_PAUSE_S", 0.2)
    monkeypatch.setattr(connection_check, "SHORT_PAUSE_S", 0.2)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return package_folder(tmp_path / "packages")


@pytest.fixture
def indexed(at_home: Home, packages: Path) -> Iterator[Sshd]:
    """A host with uv and an index, and the packages of the tests. Skips where no index can be reached."""
    uv = uv_folder()
    if uv is None:
        pytest.skip("no package index can be reached")
    links = {name: str(packages) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    variables = {
        **index_variables(),
        **links,
        "GOL_GATE": str(packages / "gate"),
        "PATH": f"{uv}:/usr/bin:/bin",
    }
    with Sshd(environment=variables) as found:
        (at_home.path / ".ssh" / "config").write_text(f"Include {found.config}\n")
        yield found


@pytest.fixture
def alone(at_home: Home, packages: Path) -> Iterator[Sshd]:
    """A host without an index: it has the packages of the tests alone, and shells of kernels' own."""
    uv = uv_folder()
    path = f"{uv}:/usr/bin:/bin" if uv else "/usr/bin:/bin"
    for name, data in (wheel("mlflow", "3.9"), wheel("ipykernel", "7.0"), wheel("pyzmq", "27.0")):
        (packages / name).write_bytes(data)
    with Sshd(environment={**without_index(packages), "PATH": path}) as found:
        (at_home.path / ".ssh" / "config").write_text(f"Include {found.config}\n")
        yield found


def bare(folder: Path) -> str:
    """An interpreter without ipykernel and without pip."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    return str(folder / "bin" / "python")


async def ended(lab: Lab, task: Task) -> Task:
    return await lab.tasks.wait(task.id)


async def log_of(lab: Lab, task: Task) -> list[str]:
    return (await lab.tasks.get_task_log(task.id)).lines


async def said(lab: Lab, task: Task, words: str) -> None:
    """Until the task's log has these words."""

    async def look() -> Any:
        found = await lab.tasks.get_task(task.id)
        lines = await log_of(lab, task)
        assert found.state == "running" or words in "\n".join(lines), lines[-5:]
        return words in "\n".join(lines)

    await until(look, bool)


async def reaches(file: Path) -> None:
    """Until the file is there."""

    await until(lambda: asyncio.to_thread(file.exists), bool)


def environments(host: Sshd) -> list[str]:
    root = host.home / ".local" / "share" / "genops-lab" / "envs"
    return sorted(each.name for each in root.iterdir()) if root.is_dir() else []


def test_from_a_python_without_ipykernel_to_a_target_that_works(
    at_home: Home, indexed: Sshd, tmp_path: Path
) -> None:
    python = bare(tmp_path / "bare")
    project = at_home.work / "digits"
    project.mkdir()
    (project / "requirements.txt").write_text("goltiny==1.0\n")

    async def body() -> None:
        async with open_lab(at_home, root_dir=at_home.work) as lab:
            await lab.targets.add_target(on(indexed, "gpu1", python=python))
            before = steps(await report_of(lab, "gpu1"))
            assert (before["ipykernel"].state, before["ipykernel"].fixes) == ("failed", ["build", "install"])
            assert before["mlflow"].state == "skipped"

            query = SourcesQuery(path="digits/train.ipynb")
            (source,) = await lab.environments.list_environment_sources(query)
            assert (source.file, source.preferred) == ("requirements.txt", True)
            task = await lab.environments.build_environment("gpu1", NewEnvironment(source=source.path))
            assert (task.subject, task.state) == ("target:gpu1", "running")
            task = await ended(lab, task)
            lines = await log_of(lab, task)
            assert task.state == "done", lines
            assert any("requirements.txt and ipykernel" in line for line in lines), lines
            assert any("goltiny==1.0" in line for line in lines), lines
            assert (
                task.message.startswith("gpu1 can run kernels. gpu1 uses ") and task.kind == "environment"
            ), task
            tested = await lab.target_tests.get_report("gpu1")
            assert (tested.task_id, tested.state) == (task.id, "ok")
            assert steps(tested)["ipykernel"].state == "ok" and steps(tested)["logout"].state == "skipped"

            target = await lab.targets.get_target("gpu1")
            (name,) = environments(indexed)
            assert name.startswith("digits-") and target.state == "up"
            assert target.python == str(
                indexed.home / ".local" / "share" / "genops-lab" / "envs" / name / "bin" / "python"
            )
            report = await report_of(lab, "gpu1")
            after = steps(report)
            assert after["ipykernel"].state == "ok" and name in after["python"].message, report
            assert after["logout"].state == "ok", "a kernel starts in it"
            assert (report.state, after["mlflow"].state) == ("ok", "optional")

            again = await ended(
                lab, await lab.environments.build_environment("gpu1", NewEnvironment(source=source.path))
            )
            assert (again.state, "was built before" in again.message) == ("done", True)
        async with open_lab(at_home) as lab:  # it is remembered
            assert (await lab.targets.get_target("gpu1")).python == target.python

    run(body())


def test_a_test_within_other_work_connects_nothing(at_home: Home, alone: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(alone, "gpu1", python=sys.executable))

            async def within() -> Task:
                task = lab.tasks.start("Work", lambda handle: lab.target_tests.test_connected("gpu1", handle))
                return await ended(lab, task)

            assert (await within()).message == ""
            assert (await lab.targets.get_target("gpu1")).state == "idle"
            assert (await lab.target_tests.get_report("gpu1")).state == "none"
            await connected(lab, "gpu1")
            task = await within()
            assert task.message == "gpu1 can run kernels.", await log_of(lab, task)
            assert (await lab.target_tests.get_report("gpu1")).task_id == task.id

    run(body())


@pytest.mark.exhaustive
def test_a_uv_lock_is_followed_to_the_letter(at_home: Home, indexed: Sshd, tmp_path: Path) -> None:
    uv = uv_folder()
    assert uv is not None
    project = at_home.work
    (project / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["six==1.16.0"]\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    environment = {**index_variables(), "PATH": "/usr/bin:/bin", "HOME": str(at_home.path)}
    subprocess.run(
        [uv / "uv", "lock", "-q", "--python", sys.executable],
        cwd=project,
        env=environment,
        check=True,
        timeout=120,
    )

    async def body() -> str:
        async with open_lab(at_home, root_dir=at_home.work) as lab:
            await lab.targets.add_target(on(indexed, "gpu1", python=sys.executable))
            (source,) = await lab.environments.list_environment_sources(SourcesQuery())
            assert (source.file, source.kind, source.preferred) == ("uv.lock", "uv", True)
            body = NewEnvironment(source=source.path, python=sys.executable, folder="locked")
            task = await ended(lab, await lab.environments.build_environment("gpu1", body))
            assert task.state == "done", await log_of(lab, task)
            return (await lab.targets.get_target("gpu1")).python

    python = run(body())
    assert environments(indexed) == ["locked"]
    printed = subprocess.run(
        [python, "-c", "import six, ipykernel, pip; print(six.__version__)"], capture_output=True, text=True
    )
    assert printed.stdout == "1.16.0\n", printed.stderr


def test_hosts_that_share_their_home_are_built_for_on_one_that_is_given_back(
    at_home: Home, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(providers.PROVIDERS, "toy", toy_provider.PROVIDER)
    for name, value in without_index(packages).items():
        monkeypatch.setenv(name, value)
    for name, data in (wheel("ipykernel", "7.0"), wheel("pyzmq", "27.0")):
        (packages / name).write_bytes(data)
    queue = tmp_path / "queue"
    config = {"python": sys.executable, "folder": str(queue), "shared": True, "wait_s": 0.5}

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(NewTarget(name="queue", kind="toy", config=config))
            task = await ended(lab, await lab.environments.build_environment("queue", NewEnvironment()))
            assert task.state == "done", task
            python = (await lab.targets.get_target("queue")).python
            assert str(at_home.path) in python
            assert not list(queue.glob("*/asked.json")) and lab.links.known() == []
            wrong = NewEnvironment(python="9.9")
            task = await ended(lab, await lab.environments.build_environment("queue", wrong))
            assert task.state == "failed" and not list(queue.glob("*/asked.json")), task

    run(body())


def test_a_kernel_that_runs_is_not_disturbed_and_the_next_one_has_the_new_python(
    at_home: Home, indexed: Sshd
) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(indexed, "gpu1", python=sys.executable))
            assert (await connected(lab, "gpu1")).state == "up"
            old = await start(lab, "gpu1", SLEEPER)
            pid = (await kernels_of(lab, "gpu1"))[old].pid
            task = await lab.environments.build_environment("gpu1", NewEnvironment())
            assert (await ended(lab, task)).state == "done", await log_of(lab, task)
            new = await start(
                lab, "gpu1", ["python", "-c", "import sys; print(sys.prefix, flush=True); input()"]
            )
            kernels = await kernels_of(lab, "gpu1")
            assert (kernels[old].state, kernels[old].pid) == ("running", pid)

            async def log() -> str:
                return (await lab.remote_kernels.get_remote_kernel_log("gpu1", new, KernelLogQuery())).text

            prefix = (await until(log, bool)).splitlines()[0]
            assert (await lab.targets.get_target("gpu1")).python == f"{prefix}/bin/python"

    run(body())


def test_a_cut_in_the_middle_is_waited_for_and_cancelling_leaves_nothing(
    at_home: Home, indexed: Sshd, packages: Path
) -> None:
    (at_home.work / "requirements.txt").write_text("golslow\n")
    begun = packages / "gate.begun"

    async def body() -> None:
        async with open_lab(at_home, root_dir=at_home.work) as lab:
            await lab.targets.add_target(on(indexed, "gpu1", python=sys.executable))
            wanted = NewEnvironment(source="requirements.txt", folder="mine")
            task = await lab.environments.build_environment("gpu1", wanted)
            await reaches(begun)
            assert environments(indexed) == ["mine"]
            assert (await lab.environments.build_environment("gpu1", wanted)).id == task.id, "joined"
            with pytest.raises(Conflict, match="Another build on"):
                await lab.environments.install_packages("gpu1", Additions(packages=["mlflow"]))
            assert steps(await report_of(lab, "gpu1"))["logout"].state == "skipped"

            await lab.tasks.cancel_task(task.id)
            assert (await lab.tasks.get_task(task.id)).state == "cancelled"
            assert environments(indexed) == []
            assert (await lab.targets.get_target("gpu1")).python == sys.executable

            begun.unlink()
            task = await lab.environments.build_environment("gpu1", wanted)
            await reaches(begun)
            assert indexed.kill_sessions() > 0
            await said(lab, task, "the build continues on the host")
            (packages / "gate").touch()
            task = await ended(lab, task)
            assert task.state == "done", await log_of(lab, task)
            assert environments(indexed) == ["mine"]

    run(body())


def test_a_lab_that_comes_back_picks_up_a_build(at_home: Home, indexed: Sshd, packages: Path) -> None:
    (at_home.work / "requirements.txt").write_text("golslow\n")
    wanted = NewEnvironment(source="requirements.txt")

    async def body() -> None:
        async with open_lab(at_home, root_dir=at_home.work) as lab:
            await lab.targets.add_target(on(indexed, "gpu1", python=sys.executable))
            task = await lab.environments.build_environment("gpu1", wanted)
            await reaches(packages / "gate.begun")
            await lab.targets.disconnect_target("gpu1")
            task = await ended(lab, task)
            assert (task.state, "continues on the host" in task.message) == ("failed", True)
            task = await lab.environments.build_environment("gpu1", wanted)
            await said(lab, task, "and ipykernel")
            await lab.tasks.cancel_task(task.id)
            assert environments(indexed) == [], "it is the one that was begun before"
            (packages / "gate.begun").unlink()
            task = await lab.environments.build_environment("gpu1", wanted)
            await said(lab, task, "and ipykernel")
            await reaches(packages / "gate.begun")
        (packages / "gate").touch()
        key = make_key(at_home.path / "locked", passphrase="open sesame")
        indexed.authorized_keys.write_text(key.with_suffix(".pub").read_text())
        indexed.write_config(IdentityFile=key)
        async with open_lab(at_home, supervise=True) as lab:

            async def look() -> Task:
                return await lab.tasks.get_task(task.id)

            await until(look, lambda found: found.message.startswith("Waiting for you to connect gpu1."))
            assert await lab.questions.list_questions() == [], "nobody is asked out of the blue"
            assert (await lab.targets.get_target("gpu1")).state == "failed"
            assert (await connected(lab, "gpu1", {"passphrase": "open sesame"})).state == "up"
            done = await until(look, lambda found: found.state != "running")
            lines = await log_of(lab, task)
            assert done.state == "done" and "gpu1 uses" in done.message, lines
            assert len([line for line in lines if "and ipykernel" in line]) == 1, lines
            assert len(environments(indexed)) == 1

    run(body())


def test_what_fails_is_told_and_changes_nothing(at_home: Home, alone: Sshd) -> None:
    (at_home.work / "requirements.txt").write_text("no-such-package==3\n")

    async def body() -> None:
        async with open_lab(at_home, root_dir=at_home.work) as lab:
            # An interpreter that is not there is no obstacle: another one of the host begins.
            await lab.targets.add_target(on(alone, "gpu1", python="/nonexistent/python3"))
            python = steps(await report_of(lab, "gpu1"))["python"]
            assert (python.state, python.fixes) == ("failed", ["build"])
            wanted = NewEnvironment(source="requirements.txt", python=sys.executable)
            task = await ended(lab, await lab.environments.build_environment("gpu1", wanted))
            assert task.state == "failed" and "no-such-package" in task.message
            assert any("no-such-package" in line for line in await log_of(lab, task))
            assert environments(alone) == []
            target = await lab.targets.get_target("gpu1")
            assert target.python == "/nonexistent/python3" and target.state != "up"
            task = await lab.environments.build_environment("gpu1", wanted)
            await lab.targets.remove_target("gpu1", RemoveQuery())
            assert (await lab.tasks.get_task(task.id)).state == "cancelled"
            for bad in ("../outside/requirements.txt", "nothing.txt", "train.py"):
                with pytest.raises(GenOpsError) as refused:
                    await lab.environments.build_environment("gpu1", NewEnvironment(source=bad))
                assert refused.value.hint
            with pytest.raises(InvalidRequest):
                await lab.environments.build_environment("gpu1", NewEnvironment(python="x" * 2000))

    run(body())


def test_the_administrators_interpreter_stays(at_home: Home, alone: Sshd) -> None:
    given = (NewTarget(name="team", host=alone.alias, python=sys.executable),)

    async def body() -> None:
        async with open_lab(at_home, targets=given) as lab:
            with pytest.raises(NotAllowed):
                await lab.environments.build_environment("team", NewEnvironment())

    run(body())


def test_mlflow_is_installed_where_it_lacks(
    at_home: Home, alone: Sshd, packages: Path, tmp_path: Path
) -> None:
    python = bare(tmp_path / "env")
    site = next((tmp_path / "env" / "lib").glob("python3*")) / "site-packages"
    for name in ("ipykernel.py", "zmq.py"):  # as far as can be seen, a kernel can start
        (site / name).touch()
    if uv_folder() is None:
        subprocess.run([python, "-m", "ensurepip"], check=True, timeout=120, stdout=subprocess.DEVNULL)

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(alone, "gpu1", python=python))
            before = steps(await report_of(lab, "gpu1"))
            assert (before["mlflow"].state, before["mlflow"].fixes) == ("optional", ["install"])
            assert "genops.log work without it" in before["mlflow"].hint
            task = await lab.environments.install_packages("gpu1", Additions(packages=["mlflow"]))
            task = await ended(lab, task)
            assert task.state == "done", await log_of(lab, task)
            after = steps(await report_of(lab, "gpu1"))
            assert (after["mlflow"].state, after["mlflow"].message) == ("ok", "mlflow 3.9.")

    run(body())
