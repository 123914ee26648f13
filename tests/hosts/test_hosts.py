"""Targets on a real sshd with the real agent: tests, connections, questions, kernels."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, GenOpsError
from genops_lab.hosts import connection_check
from genops_lab.hosts.models import (
    KernelLogQuery,
    NewTarget,
    RemoveQuery,
    ReportStep,
    StopKernel,
    TargetReport,
)
from genops_lab.hosts.records import record_of
from tests.support.homes import Home
from tests.support.processes import runs
from tests.support.quota import small_disk
from tests.support.sshd import Sshd, make_key

from .labs import (
    SLEEPER,
    connected,
    kernels_of,
    on,
    open_lab,
    report_of,
    run,
    start,
    steps,
    until,
)
from .test_targets import own_kernel

ORDER = [
    "reachable",
    "host_key",
    "login",
    "python",
    "agent",
    "ipykernel",
    "mlflow",
    "gpu",
    "disk",
    "clock",
    "logout",
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host here ends what its users leave behind some seconds after they leave."""
    monkeypatch.setattr(connection_check, "LOGOUT_PAUSE_S", 0.2)
    monkeypatch.setattr(connection_check, "SHORT_PAUSE_S", 0.2)


def test_a_good_host_passes_each_step_in_order(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            seen: list[TargetReport] = []
            lab.live.join("target-report:gpu1", lambda _topic, report: seen.append(report))
            report = await report_of(lab, "gpu1")
            assert list(steps(report)) == ORDER
            assert {step.state for step in report.steps} == {"ok"}, report
            assert report.state == "ok" and report.ended_at is not None
            assert [len(each.steps) for each in seen] == [*range(len(ORDER) + 1), len(ORDER)]
            assert sys.version.split()[0] in steps(report)["python"].message
            task = await lab.tasks.get_task(report.task_id)
            assert (task.state, task.subject) == ("done", "target:gpu1")
            log = (await lab.tasks.get_task_log(report.task_id)).lines
            assert [line.partition(":")[0] for line in log] == ORDER
            assert await kernels_of(lab, "gpu1") == {}, "the test's kernel is gone"
            [target] = await lab.targets.list_targets()
            assert (target.state, target.carrier_used) == ("up", "paramiko")

    run(body())


def test_a_test_that_is_under_way_is_joined_and_can_be_cancelled(at_home: Home, host: Sshd) -> None:
    host.known_hosts.write_text("")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1"))
            first = await lab.target_tests.test_target("gpu1")
            assert (await lab.target_tests.test_target("gpu1")).id == first.id
            await until(lab.questions.list_questions, bool)
            assert (await lab.targets.get_target("gpu1")).state == "asking"
            await lab.tasks.cancel_task(first.id)
            assert (await lab.target_tests.get_report("gpu1")).state == "cancelled"
            assert await until(lab.questions.list_questions, lambda found: not found) == []
            await until(lambda: lab.targets.get_target("gpu1"), lambda target: target.state == "idle")

    run(body())


@pytest.mark.parametrize(
    ("spoil", "failed", "hint"),
    [
        (lambda host: {"port": host.port + 1 if host.port < 65535 else 1}, "reachable", ""),
        (lambda host: {"python": "/nonexistent/python3"}, "python", "Python"),
        (lambda host: (host.authorized_keys.write_text("") and {}) or {}, "login", ""),
    ],
    ids=["wrong port", "no python", "key not taken"],
)  # fmt: skip
def test_what_keeps_a_host_from_being_reached_is_named(
    at_home: Home, host: Sshd, spoil: Callable[[Sshd], dict[str, Any]], failed: str, hint: str
) -> None:
    fields = spoil(host)

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", **fields))
            report = await report_of(lab, "gpu1")
            at = ORDER.index(failed)
            assert list(steps(report)) == ORDER
            assert [step.state for step in report.steps] == (
                ["ok"] * at + ["failed"] + ["skipped"] * (len(ORDER) - at - 1)
            ), report
            assert report.state == "failed"
            assert report.steps[at].message and report.steps[at].hint
            assert hint in report.steps[at].hint
            assert (await lab.tasks.get_task(report.task_id)).state == "failed"
            target = await lab.targets.get_target("gpu1")
            assert (target.state, target.message) == ("failed", report.steps[at].message)

    run(body())


def test_an_unknown_host_key_is_asked_about_once(at_home: Home, host: Sshd) -> None:
    host.known_hosts.write_text("")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1"))
            refused = await report_of(lab, "gpu1", {"host_key": None})
            assert steps(refused)["host_key"].state == "failed"
            assert steps(refused)["reachable"].state == "ok" and steps(refused)["login"].state == "skipped"

            await lab.targets.connect_target("gpu1")
            [question] = await until(lab.questions.list_questions, bool)
            assert (question.target, question.kind) == ("gpu1", "host_key")
            assert question.fingerprint == host.fingerprint()
            target = await connected(lab, "gpu1", {"host_key": "yes"})
            assert target.state == "up", target.message
            await lab.targets.disconnect_target("gpu1")
            assert (await connected(lab, "gpu1")).state == "up", "an accepted key is not asked about again"

    run(body())


@pytest.mark.parametrize("carrier", ["paramiko", "openssh"])
def test_a_key_that_is_trusted_after_the_host_gave_up_waiting_connects(at_home: Home, carrier: Any) -> None:
    with Sshd(extra="LoginGraceTime 2") as host:
        (at_home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        host.known_hosts.write_text("")

        async def log() -> str:
            return host.log()

        async def body() -> None:
            async with open_lab(at_home) as lab:
                await lab.targets.add_target(on(host, "gpu1", carrier=carrier))
                seen: list[str] = []
                lab.links.watch_all(lambda _target, state: seen.append(f"{state.state}: {state.message}"))
                await lab.targets.connect_target("gpu1")
                await until(lab.questions.list_questions, bool)
                await until(log, lambda text: "imeout before authentication" in text)
                target = await connected(lab, "gpu1", {"host_key": "yes"})
                assert (target.state, target.message, target.carrier_used) == ("up", "", carrier)
                assert not [line for line in seen if not line.endswith(": ")], seen

        run(body())


def test_a_passphrase_is_asked_for_and_kept_nowhere(
    at_home: Home, host: Sshd, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "a-long-and-secret-passphrase"
    key = make_key(host.folder / "locked_key", passphrase=secret)
    host.authorized_keys.write_text(key.with_suffix(".pub").read_text())
    host.write_config(IdentityFile=key)

    async def body() -> None:
        async with open_lab(at_home) as lab:
            events: list[tuple[str, str]] = []
            lab.events.listen(lambda kind, id, _revision: events.append((kind, id)))
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            wrong = await report_of(lab, "gpu1", {"passphrase": "wrong"})
            assert steps(wrong)["login"].state == "failed", wrong
            report = await report_of(lab, "gpu1", {"passphrase": secret})
            assert report.state == "ok", report
            lines = (await lab.tasks.get_task_log(report.task_id)).lines
            assert any(kind == "question" for kind, _id in events)
            assert secret not in repr(events) + repr(lines) + repr(await lab.targets.list_targets())

    with caplog.at_level("DEBUG"):
        run(body())
    assert secret not in caplog.text
    for file in [*at_home.path.rglob("*"), *host.folder.rglob("*")]:
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


def test_a_disconnect_while_a_question_is_open_takes_it_back(at_home: Home, host: Sshd) -> None:
    host.known_hosts.write_text("")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1"))
            begun = await lab.targets.connect_target("gpu1")
            assert begun.state in ("connecting", "asking")
            await until(lab.questions.list_questions, bool)
            assert (await lab.targets.disconnect_target("gpu1")).state == "idle"
            assert await until(lab.questions.list_questions, lambda found: not found) == []
            assert (await lab.targets.get_target("gpu1")).state == "idle"

    run(body())


def test_an_interpreter_without_ipykernel_is_told_how_to_get_it(
    at_home: Home, host: Sshd, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare env")], check=True)
    python = tmp_path / "bare env" / "bin" / "python"

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=str(python)))
            report = await report_of(lab, "gpu1")
            step = steps(report)["ipykernel"]
            assert (step.state, report.state) == ("failed", "failed")
            assert str(python) in step.message
            build, command = step.commands
            assert build == "genops targets build gpu1" and step.fixes == ["build"]
            ssh, alias, there = shlex.split(command)
            assert (ssh, alias) == ("ssh", host.alias)
            assert str(python) in shlex.split(there) and "ipykernel" in shlex.split(there)
            assert steps(report)["logout"].state == "skipped"
            for name in ("gpu", "disk", "clock"):
                assert steps(report)[name].state in ("ok", "warning")

    run(body())


#: Runs the session's command and, when that has ended, ends all that was started in it, as systemd does with
#: KillUserProcesses. It says in a file that it is done.
RUTHLESS = """\
import os, psutil, subprocess, sys
mark = {"GOL_SESSION": str(os.getpid())}
subprocess.run(["/bin/sh", "-c", os.environ["SSH_ORIGINAL_COMMAND"]], env={**os.environ, **mark})
def inside(process):
    try:
        return process.environ().get("GOL_SESSION") == mark["GOL_SESSION"]
    except psutil.Error:
        return False
while left := [each for each in psutil.process_iter() if inside(each)]:
    for each in left:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            pass
open(sys.argv[1], "a").write("done\\n")
"""


def test_a_host_that_ends_what_its_users_leave_behind_is_found_out(at_home: Home, tmp_path: Path) -> None:
    script, done = tmp_path / "ruthless.py", tmp_path / "done"
    script.write_text(RUTHLESS)
    with Sshd(extra=f"ForceCommand {sys.executable} {script} {done}") as host:
        (at_home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")

        async def body() -> None:
            async with open_lab(at_home) as lab:
                record = record_of(on(host, "gpu1", python=sys.executable))
                heard: list[ReportStep] = []

                async def pause() -> None:
                    async def look() -> bool:
                        return done.exists()

                    await until(look, bool)

                link = lab.links.link(record.route)
                await connection_check.ConnectionTest(
                    record, link, lab.links.run, heard.append, pause=pause
                ).run()
                logout = heard[-1]
                assert (logout.step, logout.state) == ("logout", "failed"), heard
                assert "logged out" in logout.message and "enable-linger" in logout.hint
                assert {step.state for step in heard[:-1]} == {"ok"}

        run(body())


def test_a_full_home_is_said_and_the_logout_is_not_blamed(at_home: Home, tmp_path: Path) -> None:
    elsewhere = {"GENOPS_AGENT_DIR": str(tmp_path / "agent"), "GENOPS_AGENT_STATE": str(tmp_path / "state")}
    with Sshd(environment=elsewhere) as host, small_disk(host.home, "512k"):
        (at_home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        with pytest.raises(OSError, match="No space left"):
            (host.home / "filler").write_bytes(bytes(2**20))

        async def body() -> None:
            async with open_lab(at_home) as lab:
                await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
                found = steps(await report_of(lab, "gpu1"))
                disk, logout = found["disk"], found["logout"]
                assert disk.state == "failed", disk
                assert f"home folder {host.home} is full" in disk.message and "0.5 MiB" in disk.message, disk
                assert logout.state == "failed", logout
                assert "No space left on device" in logout.message and "systemd" not in logout.message, logout
                assert "linger" not in logout.hint and str(host.home) in logout.hint, logout

        run(body())


def test_kernels_are_listed_stopped_and_read(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            for name in ("gpu1", "away"):
                await lab.targets.add_target(on(host, name, python=sys.executable))
            assert (await connected(lab, "gpu1")).state == "up"
            ours, theirs = await start(lab, "gpu1", SLEEPER), await start(lab, "gpu1", SLEEPER)
            await own_kernel(lab, ours, "gpu1", "train.ipynb")
            found = await kernels_of(lab, "gpu1")
            assert set(found) == {ours, theirs}
            assert (found[ours].state, found[ours].ours, found[theirs].ours) == ("running", True, False)
            assert (found[ours].notebook, found[ours].owner) == ("train.ipynb", "ada@laptop")
            assert found[ours].attached is None and found[ours].pid is not None
            places = await lab.remote_kernels.list_remote_kernels()
            assert [(each.target, each.connected, len(each.kernels)) for each in places] == [
                ("gpu1", True, 2), ("away", False, 0),
            ]  # fmt: skip

            async def log() -> str:
                query = KernelLogQuery(max_bytes=1000)
                return (await lab.remote_kernels.get_remote_kernel_log("gpu1", ours, query)).text

            assert "began" in await until(log, bool)

            with pytest.raises(Conflict, match=ours):
                await lab.targets.remove_target("gpu1", RemoveQuery())
            stopped = await lab.remote_kernels.stop_remote_kernel("gpu1", ours, StopKernel(grace_s=0.5))
            assert (stopped.kernel_id, stopped.state, stopped.ours) == (ours, "ended", True)
            for kernel_id in ("nobody", "../../etc", "ü" * 200):
                with pytest.raises(GenOpsError):
                    await lab.remote_kernels.stop_remote_kernel("gpu1", kernel_id, StopKernel())
            removed = await lab.targets.remove_target("gpu1", RemoveQuery())
            assert removed.kernels_left == [], "what has ended keeps no target"
            pid = found[theirs].pid
            assert pid is not None and runs(pid), "somebody's kernel was left alone"

    run(body())


def test_a_removed_target_leaves_its_kernels_running(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            assert (await connected(lab, "gpu1")).state == "up"
            kernel_id = await start(lab, "gpu1", SLEEPER)
            await own_kernel(lab, kernel_id, "gpu1")
            pid = (await kernels_of(lab, "gpu1"))[kernel_id].pid
            removed = await lab.targets.remove_target("gpu1", RemoveQuery(force=True))
            assert removed.kernels_left == [kernel_id]
            assert lab.links.known() == []
            assert pid is not None and runs(pid)
            await lab.targets.add_target(on(host, "again", python=sys.executable))
            assert (await connected(lab, "again")).state == "up"
            assert (await kernels_of(lab, "again"))[kernel_id].state == "running"

    run(body())


def test_the_test_does_not_log_out_while_kernels_of_this_lab_are_there(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            assert (await connected(lab, "gpu1")).state == "up"
            await own_kernel(lab, await start(lab, "gpu1", SLEEPER), "gpu1")
            since = (await lab.targets.get_target("gpu1")).since
            report = await report_of(lab, "gpu1")
            assert report.state == "ok" and steps(report)["logout"].state == "skipped"
            assert (await lab.targets.get_target("gpu1")).since == since, "the connection was left alone"

    run(body())


def test_a_connection_that_breaks_is_told_and_comes_back(at_home: Home, host: Sshd) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1", python=sys.executable))
            before = await connected(lab, "gpu1")
            heard: list[tuple[str, str]] = []
            lab.events.listen(lambda kind, id, _revision: heard.append((kind, id)))
            host.kill_sessions()
            after = await until(
                lambda: lab.targets.get_target("gpu1"),
                lambda target: target.state == "up" and target.since != before.since,
            )
            assert after.state == "up"
            await lab.events.close()
            assert ("target", "gpu1") in heard

    run(body())


def test_this_machine_is_a_target_too(at_home: Home) -> None:
    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(NewTarget(name="here", kind="local", python=sys.executable))
            report = await report_of(lab, "here")
            assert report.state == "ok", report
            assert [steps(report)[name].state for name in ("reachable", "host_key", "login")] == [
                "skipped"
            ] * 3
            assert steps(report)["logout"].state == "ok"

    run(body())


def test_a_lab_that_stops_while_a_target_connects_ends(at_home: Home, host: Sshd) -> None:
    host.known_hosts.write_text("")

    async def body() -> None:
        async with open_lab(at_home) as lab:
            await lab.targets.add_target(on(host, "gpu1"))
            await lab.targets.connect_target("gpu1")
            await until(lab.questions.list_questions, bool)
        assert lab.links.closed

    run(body())
