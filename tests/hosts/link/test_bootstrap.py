"""The one command, in real shells, under real Pythons, with homes as they are on bad days."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.hosts.link import bootstrap
from genops_lab.hosts.link.errors import AgentRefused, LinkError, NoPython, OldPython
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers import route_of
from tests.hosts.link.stand_in import PAYLOAD, People, connect, run, try_once, zipped
from tests.support.quota import used_up_quota
from tests.support.sshd import Sshd, throwaway_user

SHELLS = ("sh", "bash", "dash", "zsh", "fish", "tcsh")
_NAME = f"agent-{PAYLOAD[1]}.pyz"


@pytest.fixture(scope="module")
def host() -> Iterator[Sshd]:
    with Sshd() as found:
        yield found


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"no {request.param} on this machine")
    return str(request.param)


def failure(route: Route, folder: Path, **more: Any) -> LinkError:
    with pytest.raises(LinkError) as caught:
        try_once(route, folder, **more)
    assert caught.value.message and caught.value.hint
    return caught.value


def test_every_shell_reads_it(shell: str, tmp_path: Path) -> None:
    with Sshd(shell=shell) as host:
        (host.home / "my env").mkdir()
        (host.home / "my env" / "python").symlink_to("/usr/bin/python3")
        for python in ("python3", sys.executable, "~/my env/python", f"{host.home}/my env/python"):
            assert try_once(host.route(python=python), tmp_path) == b"hello", python
        error = failure(host.route(python="no-such-python"), tmp_path)
        assert isinstance(error, NoPython), error.message
        error = failure(host.route(python="~/my env/none"), tmp_path)
        assert isinstance(error, NoPython), error.message


@pytest.mark.parametrize("python", ["it's", "a\\b", "wow!", "a\nb"])
def test_a_path_that_shells_read_differently_is_refused(python: str) -> None:
    with pytest.raises(AgentRefused):
        bootstrap.quoted(python)


def test_what_looks_like_a_command_is_a_path() -> None:
    for python in ("python3; touch owned", "$(touch owned)", "`touch owned`", "a b", "x|y", "*"):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["sh", "-c", bootstrap.shell_line(bootstrap.command(python, "0" * 64, "1"))],
                cwd=folder,
                capture_output=True,
            )
            assert os.listdir(folder) == []


def old_pythons() -> list[str]:
    found = [shutil.which(name) for name in ("python2.7", "python2", "python3.4", "python3.6", "python3.7")]
    pyenv = glob.glob(os.path.expanduser("~/.pyenv/versions/[23].*/bin/python"))
    candidates = [path for path in [*found, *pyenv] if path]
    return sorted({path for path in candidates if _is_old(path)})


def _is_old(path: str) -> bool:
    check = "import sys; sys.exit(sys.version_info < (3, 8))"
    return subprocess.run([path, "-c", check], capture_output=True).returncode == 1


def test_an_old_python_says_how_old_it_is(host: Sshd, tmp_path: Path) -> None:
    pythons = old_pythons()
    if not pythons:
        pytest.skip("no Python older than 3.8 on this machine")
    for python in pythons:
        error = failure(host.route(python=python), tmp_path)
        assert isinstance(error, OldPython) and error.step == "python"
        done = subprocess.run([python, "--version"], capture_output=True, text=True)
        version = (done.stdout + done.stderr).split()[1]
        assert f"has Python {version}" in error.message and "needs 3.8" in error.message


NOISES = {
    "10 kB": "head -c 10000 /dev/zero | tr '\\0' x; echo done",
    "a second": "echo slow; sleep 1",
    "a fake magic": 'printf \'\\0GENOPS0 0123 {"have": "/tmp/evil"}\\n\\0GENOPS1 {}\\n\'',
    "no newline": "printf 'no newline at the end'",
    "bytes": "head -c 3000 /dev/urandom",
    "stderr": "echo complaint >&2",
}


NOISES["all of these"] = "\n".join(NOISES[name] for name in sorted(NOISES, key="no newline".__eq__))


@contextlib.contextmanager
def noisy(noise: str, folder: Path) -> Iterator[Sshd]:
    """A host whose bash runs this at each start: by ~/.bashrc as Debian builds it, else by BASH_ENV."""
    text = f"echo once >> {folder}/ran\n{noise}\n"
    (folder / "rc").write_text(text)
    with Sshd(shell="bash", environment={"BASH_ENV": str(folder / "rc"), "SHLVL": "0"}) as host:
        (host.home / ".bashrc").write_text(text)
        yield host


@pytest.mark.parametrize(
    "noise",
    [
        "all of these",
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in NOISES if name[:3] != "all"),
    ],
)
def test_noise_of_rc_files_is_passed_over(noise: str, tmp_path: Path) -> None:
    with noisy(NOISES[noise], tmp_path) as host:
        for carrier in ("paramiko", "openssh"):
            assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
            ran = tmp_path / "ran"
            assert set(ran.read_text().split()) == {"once"}
            ran.unlink()


def test_too_much_noise_is_shown(tmp_path: Path) -> None:
    with noisy("while :; do echo never-ending; done", tmp_path) as host:
        error = failure(host.route(), tmp_path)
        assert isinstance(error, AgentRefused)
        assert "more than 64 KiB" in error.message and "never-ending" in error.message


def test_an_account_without_a_shell(tmp_path: Path) -> None:
    with Sshd(extra="ForceCommand echo This account is not available.; exit 1") as host:
        error = failure(host.route(), tmp_path)
        assert isinstance(error, AgentRefused)
        assert "This account is not available." in error.message and "exit code 1" in error.message


def test_modules_in_the_home_are_not_imported(host: Sshd, tmp_path: Path) -> None:
    for name in ("base64", "zlib", "json", "runpy", "struct", "hashlib"):
        (host.home / f"{name}.py").write_text("raise SystemExit('imported')\n")
    try:
        assert try_once(host.route(), tmp_path) == b"hello"
    finally:
        for file in host.home.glob("*.py"):
            file.unlink()


# where the agent lies


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of its own; skips, by name, where none may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="gol-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("needs to mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def fallback() -> Path:
    return Path(f"/var/tmp/genops-lab-{os.getuid()}")


@pytest.fixture
def no_fallback_left() -> Iterator[None]:
    yield
    for name in (_NAME, f"agent-{BIG[1]}.pyz"):
        (fallback() / name).unlink(missing_ok=True)


BIG = zipped(padding=200_000)


def agent_path(route: Route, folder: Path, payload: tuple[bytes, str]) -> str:
    """Where the agent that answers lies."""
    import json

    from genops_lab.hosts.link.carrier import open_carriage

    async def work() -> str:
        carriage = await open_carriage(route, People(), folder, payload=payload)
        line = await carriage.reader.readline()
        await carriage.close()
        return str(json.loads(line.partition(b" ")[2])["argv"][0])

    return run(work())


@pytest.mark.usefixtures("no_fallback_left")
def test_a_full_home_falls_back(tmp_path: Path) -> None:
    with small_disk("64k") as disk, Sshd(environment={"HOME": str(disk)}) as host:
        assert agent_path(host.route(), tmp_path, BIG).startswith(str(fallback()))
        assert list(disk.rglob("*agent*")) == []
        assert fallback().stat().st_mode & 0o777 == 0o700


def test_no_space_anywhere_is_said(tmp_path: Path) -> None:
    with small_disk("64k") as disk, Sshd(environment={"GENOPS_AGENT_DIR": str(disk / "x")}) as host:
        error = failure(host.route(), tmp_path, payload=BIG)
        assert isinstance(error, AgentRefused) and error.code == "disk_full" and error.step == "agent"
        assert "No space left" in error.message and str(disk) in error.message
        assert list((disk / "x").iterdir()) == []


def test_a_quota_that_is_used_up_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    variables = {**used_up_quota(folder, tmp_path), "GENOPS_AGENT_DIR": str(folder)}
    with Sshd(environment=variables) as host:
        error = failure(host.route(), tmp_path, payload=BIG)
        assert isinstance(error, AgentRefused) and error.code == "disk_full" and error.step == "agent"
        assert (
            "quota" in error.message.lower()
            and str(folder) in error.message
            and "GENOPS_AGENT_DIR" in error.hint
        )
        assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("no_fallback_left")
def test_a_home_that_is_no_folder_falls_back(tmp_path: Path) -> None:
    with Sshd(environment={"HOME": "/dev/null"}) as host:
        assert agent_path(host.route(), tmp_path, PAYLOAD).startswith(str(fallback()))


def test_a_home_that_is_read_only(tmp_path: Path) -> None:
    with throwaway_user() as user, Sshd(user=user) as host:
        host.folder.chmod(0o755)
        host.authorized_keys.chmod(0o644)
        user.home.chmod(0o555)
        found = agent_path(host.route(python="/usr/bin/python3"), tmp_path, PAYLOAD)
        try:
            assert found.startswith("/var/tmp/genops-lab-")
        finally:
            shutil.rmtree(Path(found).parent)
        host.environment["GENOPS_AGENT_DIR"] = str(user.home / "agent")
        host.stop()
        host.start()
        error = failure(host.route(python="/usr/bin/python3"), tmp_path)
        assert isinstance(error, AgentRefused) and error.code == "read_only"
        assert "Permission denied" in error.message


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    with throwaway_user() as user:
        foreign = Path(tempfile.mkdtemp(prefix="gol-foreign-"))
        try:
            (foreign / _NAME).write_bytes(PAYLOAD[0])
            shutil.chown(foreign, user.name)
            with Sshd(environment={"GENOPS_AGENT_DIR": str(foreign)}) as host:
                error = failure(host.route(), tmp_path)
            assert isinstance(error, AgentRefused) and error.code == "foreign_folder"
        finally:
            shutil.rmtree(foreign)


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Sshd(environment={"GENOPS_AGENT_DIR": str(tmp_path / "link")}) as host:
        assert isinstance(failure(host.route(), tmp_path), AgentRefused)
    assert list((tmp_path / "real").iterdir()) == []


def test_a_folder_open_to_others_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with Sshd(environment={"GENOPS_AGENT_DIR": str(folder)}) as host:
        assert try_once(host.route(), tmp_path) == b"hello"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_first_connections_at_once(tmp_path: Path) -> None:
    with Sshd() as host:

        async def work() -> list[bytes]:
            async def one() -> bytes:
                carriage = await connect(host.route(), tmp_path, payload=BIG)
                try:
                    carriage.writer.write(b"hello")
                    return await carriage.reader.readexactly(5)
                finally:
                    await carriage.close()

            return await asyncio.gather(*(one() for _ in range(5)))

        assert run(work()) == [b"hello"] * 5
        folder = host.home / ".cache" / "genops-lab"
        assert [file.name for file in folder.iterdir()] == [f"agent-{BIG[1]}.pyz"]


# this machine


def test_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "planted")
    route = route_of(target="here", kind="local")
    program = (
        "import os\ntoken = os.environ.get('JUPYTERHUB_API_TOKEN', 'none')\n"
        "os.write(1, b'\\0GENOPS1 {' + token.encode() + b'}\\n')"
    )

    async def work() -> bytes:
        from genops_lab.hosts.link.carrier import open_carriage

        carriage = await open_carriage(route, People(), tmp_path, payload=zipped(program))
        line = await carriage.reader.readline()
        assert carriage.carrier == "local"
        await carriage.close()
        return line

    assert run(work()) == b"\0GENOPS1 {none}\n"
    assert try_once(route, tmp_path) == b"hello"
    assert isinstance(
        failure(route_of(target="here", kind="local", python="/no/such/python"), tmp_path), NoPython
    )
