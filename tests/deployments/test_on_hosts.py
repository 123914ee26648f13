"""Deployments on a host over a real sshd: they serve there, go on without Lab and connection, and are reached here."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.deployments.build_spec import KIND
from genops_lab.deployments.description.models import ApplyDescription, PlanDescription
from genops_lab.deployments.fetched import FetchedService
from genops_lab.deployments.models import (
    CheckDeploy,
    Deployment,
    LogQuery,
    NewCallerKey,
    NewDeployment,
    RollBack,
    TokenFigures,
)
from genops_lab.deployments.policy import RolloutPolicy, RolloutStep
from genops_lab.deployments.scaling import Replicas, Scale
from genops_lab.deployments.secrets import Secrets
from genops_lab.hosts.models import NewTarget, RemoveQuery
from tests.hosts.labs import connected, until
from tests.support import application
from tests.support.application import Lab
from tests.support.authority import Authority
from tests.support.environments import find_python, index_variables, uv_folder
from tests.support.homes import Home
from tests.support.hub import TOKEN, Hub, Repository
from tests.support.lab_server import free_port
from tests.support.packages import package_folder, without_index
from tests.support.processes import commands_with
from tests.support.rooms import Logged, Rooms, Training, eventually
from tests.support.small_llm import small_llm
from tests.support.sshd import Sshd

from .conftest import ask, register

FILE = """\
apiVersion: genops/v1
kind: Deployment
name: far
revisions:
  - model: digits
    version: 1
    settings: {batch: 8, batch_wait_ms: 2, memory: 4gb}
on: box
callers: [{name: ci}]
environment: {FAR_PLACE: there}
secrets: [FAR_TOKEN]
"""
STATE = ".local/state/genops-lab/deployments"


@contextmanager
def at_home(home: Home, folders: pytest.TempPathFactory, **variables: str) -> Iterator[Sshd]:
    """A host whose Python has what the digits need, for a Lab in this home; it reaches no package index unless
    ``variables`` lead to one."""
    variables = variables or {"XDG_STATE_HOME": "", **without_index(folders.mktemp("index"))}
    with (
        Sshd(environment=variables) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in home.environment().items():
            patch.setenv(name, value)
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        ssh = home.path / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "config").write_text(f"Include {found.config}\n")
        yield found


@pytest.fixture(scope="module")
def host(package_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with at_home(package_home, tmp_path_factory) as found:
        yield found


@asynccontextmanager
async def opened(
    data_dir: Path, host: Sshd, *, target: str = "box", python: str = sys.executable
) -> AsyncIterator[Lab]:
    """A Lab that is connected to a target."""
    lab = await application.open_lab(Settings(data_dir=data_dir, deployment_lease_s=600))
    try:
        try:
            await lab.targets.get_target(target)
        except NotFound:
            await lab.targets.add_target(NewTarget(name=target, host=host.alias, python=python))
        found = await connected(lab, target)
        assert found.state == "up", found.message
        yield lab
    finally:
        await lab.stop()


async def running(lab: Lab, name: str) -> Deployment:
    found = await until(
        lambda: lab.deployments.get_deployment(name),
        lambda each: each.state not in ("preparing", "starting") and not each.updating_to,
    )
    assert found.state == "running", (found, (await lab.tasks.get_task_log(found.task_id)).lines)
    return found


def bounded(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 240))


def processes_of(host: Sshd, name: str) -> int:
    return len(commands_with(str(host.home / STATE / name) + "/"))


def ports(port: int, folder: Path | str = "", *, carried: bool) -> str:
    """The part of a file with the port for other machines."""
    certificate, key = (str(Path(folder, name)) for name in ("certificate.pem", "key.pem"))
    told = {"address": f"localhost:{port}", "certificate": certificate, "key": key, "carried": carried}
    return f"https: {json.dumps(told)}\n"


async def answers_other_machines(lab: Lab, host: Sshd, inputs: list[Any], folder: Path) -> None:
    """Carry a certificate over, and a new one, then name files on the host; connections stay open."""
    authority, port = Authority(folder), free_port()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    context = ssl.create_default_context(cafile=str(authority.file))
    caller = (await lab.deployments.get_deployment_key("far")).key

    async def applied(https: str) -> None:
        asked = ApplyDescription(text=FILE + https, folder=str(folder))
        changes = (await lab.files.apply_description(asked)).changes
        assert [each.what for each in changes] == ["https"], changes
        plan = await lab.files.plan_description(PlanDescription(text=FILE + https, folder=str(folder)))
        assert plan.changes == []

    def called(connection: http.client.HTTPSConnection, key: str = caller) -> tuple[int, int]:
        """The status of a request, and the serial number of the certificate."""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/far/invocations", json.dumps({"inputs": inputs}).encode(), headers)
        connection.sock.settimeout(60)
        found = connection.sock.getpeercert()
        answer = connection.getresponse()
        answer.read()
        return answer.status, int(str(found["serialNumber"]), 16) if found else 0

    def fresh(key: str = caller) -> tuple[int, int]:
        try:
            return called(http.client.HTTPSConnection("localhost", port, context=context), key)
        except OSError:
            return 0, 0

    first = authority.signed(certificate, key)
    await applied(ports(port, carried=True))
    await asyncio.to_thread(eventually, fresh, lambda found: found == (200, first), 20)
    said = {each.kind: each for each in (await lab.deployments.get_deployment("far")).addresses}
    assert said["https"].address == f"https://localhost:{port}/far" and said["host"].reached_from == "box"
    assert (await asyncio.to_thread(fresh, "wrong"))[0] == 401
    kept = http.client.HTTPSConnection("localhost", port, context=context)
    assert called(kept) == (200, first)
    files = sorted((host.home / STATE / "far").glob("tls-*.pem"))
    assert [(each.name, each.stat().st_mode & 0o777) for each in files] == [
        ("tls-certificate.pem", 0o600), ("tls-key.pem", 0o600),
    ]  # fmt: skip
    second = authority.signed(certificate, key)
    await applied(ports(port, carried=True))
    await asyncio.to_thread(eventually, fresh, lambda found: found == (200, second), 20)
    assert called(kept) == (200, first), "an open connection is not lost"
    there = folder / "there"
    there.mkdir()
    third = authority.signed(there / "certificate.pem", there / "key.pem")
    await applied(ports(port, there, carried=False))
    await asyncio.to_thread(eventually, fresh, lambda found: found == (200, third), 20)
    fourth = authority.signed(
        there / "certificate.pem", there / "key.pem"
    )  # renewed on the host, by nobody here
    await asyncio.to_thread(eventually, fresh, lambda found: found == (200, fourth), 20)
    (there / "key.pem").unlink()
    message = await until(
        lambda: lab.deployments.get_deployment("far"), lambda each: "Cannot answer at port" in each.message
    )
    assert called(kept) == (200, first) and message.state == "running"
    kept.close()
    with pytest.raises(InvalidRequest, match=r"gone.pem of 'https' cannot be read"):
        gone = ports(port, folder, carried=True).replace("key.pem", "gone.pem")
        await lab.files.plan_description(PlanDescription(text=FILE + gone))


def test_a_deployment_serves_there_and_is_asked_here(
    rooms: Rooms, digits: Logged, host: Sshd, tmp_path: Path
) -> None:
    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            Secrets(rooms.settings.data_dir / "secrets").set("FAR_TOKEN", "far-secret")
            applied = await lab.files.apply_description(ApplyDescription(text=FILE))
            assert applied.deployment.target == "box"
            found = await running(lab, "far")
            assert found.settings == {"batch": "8", "batch_wait_ms": "2", "memory": "4 GB"}
            (spec,) = (host.home / STATE / "far").glob("revisions/*/spec.json")
            told = json.loads(spec.read_bytes())
            assert (told["batch_rows"], told["batch_wait_ms"], told["memory_bytes"]) == (8, 2, 4e9)
            pid = json.loads((spec.parent / "pid.json").read_bytes())["pid"]
            variables = psutil.Process(pid).environ()
            assert (variables["FAR_PLACE"], variables["FAR_TOKEN"]) == ("there", "far-secret")
            assert not [each for each in spec.parent.glob("*.json") if b"far-secret" in each.read_bytes()]
            moved = await lab.files.plan_description(PlanDescription(text=FILE.replace("on: box\n", "")))
            assert moved.problem == "The deployment 'far' is on box, not on this machine."
            plan = await lab.files.plan_description(
                PlanDescription(text=(await lab.files.get_description("far")).now)
            )
            assert (plan.changes, plan.problem) == ([], "")
            await lab.deployments.add_caller_key("far", NewCallerKey(name="eve"))
            drift = (await lab.files.get_description("far")).drift
            assert [(each.what, each.now, each.file) for each in drift] == [("key eve", "no limit", "")]
            key = (await lab.deployments.get_deployment_key("far")).key
            status, answer = await asyncio.to_thread(ask, found.url, key, digits.inputs.tolist())
            assert (status, answer) == (200, {"predictions": digits.predictions})
            assert (await asyncio.to_thread(ask, found.url, None, digits.inputs.tolist()))[0] == 401
            said = {each.kind: each for each in found.addresses}
            assert "-L" in said["ssh"].command and host.alias in said["ssh"].command
            assert said["https"].problem.startswith("The gateway listens on loopback of box alone")
            await lab.deployments.revoke_caller_key("far", "eve")
            await answers_other_machines(lab, host, digits.inputs.tolist(), tmp_path)
            log = await lab.deployments.get_deployment_log("far", LogQuery(lines=100))
            assert log.lines[0].startswith("starting: ")
            stopped = await lab.deployments.stop_deployment("far")
            assert stopped.state == "stopped" and processes_of(host, "far") == 0
            await lab.deployments.delete_deployment("far")
            assert not (host.home / STATE / "far").exists()

    bounded(test())


def test_a_lost_connection_and_a_closed_lab_change_nothing_there(
    rooms: Rooms, digits: Logged, host: Sshd
) -> None:
    async def serve(name: str) -> Deployment:
        async with opened(rooms.settings.data_dir, host) as lab:
            await lab.deployments.deploy(NewDeployment(model="digits", name=name, on="box"))
            found = await running(lab, name)
            with pytest.raises(Conflict, match="is on box, not on this machine"):
                await lab.deployments.deploy(NewDeployment(model="digits", name=name, on="this machine"))
            with pytest.raises(Conflict, match="box has deployments: kept"):
                await lab.targets.remove_target("box", RemoveQuery(force=True))
            await asyncio.to_thread(host.stop)
            away = await until(
                lambda: lab.deployments.get_deployment(name),
                lambda each: "cannot be reached since" in each.message,
            )
            assert (away.state, away.url) == ("running", "") and "continues there" in away.message
            with pytest.raises(Conflict, match="box is not connected"):
                await lab.deployments.stop_deployment(name)
            assert processes_of(host, name) == 1
            await asyncio.to_thread(host.start)
            await until(lambda: lab.deployments.get_deployment(name), lambda each: each.url)
            return found

    first = bounded(serve("kept"))
    assert processes_of(host, "kept") == 1, "it serves without a Lab"

    async def again() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            found = await running(lab, "kept")
            key = (await lab.deployments.get_deployment_key("kept")).key
            assert found.url == first.url and found.revisions[0].number == 1
            assert (await asyncio.to_thread(ask, found.url, key, digits.inputs.tolist()))[0] == 200
            lease = found.lease_until
            assert (await lab.deployments.renew_deployment("kept")).lease_until >= lease

    bounded(again())


def test_an_update_there_loses_no_request_and_one_goes_back(rooms: Rooms, digits: Logged, host: Sshd) -> None:
    newest = register(rooms, "digits", digits)

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            older = await running(lab, "kept")
            url = older.url
            key = (await lab.deployments.get_deployment_key("kept")).key
            statuses: list[int] = []
            updated = asyncio.Event()

            async def call() -> None:
                while not updated.is_set():
                    statuses.append((await asyncio.to_thread(ask, url, key, digits.inputs.tolist()))[0])

            calling = asyncio.ensure_future(call())
            await lab.deployments.deploy(NewDeployment(model="digits", name="kept"))
            found = await running(lab, "kept")
            assert (found.revision, found.version, found.target, found.url) == (2, newest, "box", url)
            back = await lab.deployments.roll_back_deployment("kept", RollBack())
            back = await running(lab, "kept")
            assert (back.revision, back.version) == (1, older.version)
            updated.set()
            await calling
            assert statuses and set(statuses) == {200}

    bounded(test())


def test_a_canary_there_that_does_harm_is_taken_back_while_no_lab_runs(
    rooms: Rooms, digits: Logged, training: Training, host: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its model refuses the requests that the one before answers."""
    # The Lab of the other tests, which has no targets, must not be the next one.
    monkeypatch.delitem(rooms.work._kinds, KIND)
    harmful = training.digits(pixels=8)
    rooms.trust(harmful.folder, harmful.run_id)
    register(rooms, "harmful-digits", harmful)
    steps = [RolloutStep(traffic=50, requests=5)]
    policy = RolloutPolicy(steps=steps, failures=0.2, latency=None, warm_up="0s")

    async def begin() -> tuple[Deployment, str, int]:
        async with opened(rooms.settings.data_dir, host) as lab:
            before = await running(lab, "kept")
            await lab.deployments.deploy(NewDeployment(model="harmful-digits", name="kept", rollout=policy))
            await until(
                lambda: lab.deployments.get_deployment("kept"),
                lambda each: each.rollout is not None and each.rollout.candidate == each.updating_to > 0,
            )
            key = (await lab.deployments.get_deployment_key("kept")).key
            port = json.loads((host.home / STATE / ".gateway" / "port").read_text())
            return before, key, int(port)

    before, key, port = bounded(begin())
    evidence = host.home / STATE / "kept" / "evidence.json"
    url = f"http://127.0.0.1:{port}/kept"
    eventually(
        lambda: ask(url, key, digits.inputs.tolist()) and json.loads(evidence.read_bytes())["state"],
        lambda state: state == "rolled back",
        60,
    )

    async def end() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            found = await until(
                lambda: lab.deployments.get_deployment("kept"), lambda each: not each.updating_to
            )
            assert (found.revision, found.model, found.version) == (1, "digits", before.version)
            assert found.message
            assert found.rollout is not None and found.rollout.state == "rolled back"

    bounded(end())


def test_a_host_that_was_started_again_says_so_and_serves_again(
    rooms: Rooms, digits: Logged, host: Sshd
) -> None:
    """A restart of the host is its processes killed, and another boot id where they wrote theirs."""
    for process in psutil.process_iter():
        if commands_with(str(host.home / STATE), [process]):
            process.kill()
    for path in (host.home / STATE).glob("kept/revisions/*/pid.json"):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "boot": "before"}))

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            found = await until(
                lambda: lab.deployments.get_deployment("kept"), lambda each: each.state != "running"
            )
            assert (found.state, found.message) == (
                "ended", "The deployment ended when its host was started again."
            )  # fmt: skip
            await lab.deployments.deploy(NewDeployment(model="digits", name="kept"))
            found = await running(lab, "kept")
            key = (await lab.deployments.get_deployment_key("kept")).key
            assert (await asyncio.to_thread(ask, found.url, key, digits.inputs.tolist()))[0] == 200
            await lab.deployments.stop_deployment("kept")
            await lab.deployments.delete_deployment("kept")
            assert not (host.home / STATE / "kept").exists()

    bounded(test())


def test_a_language_model_there_is_checked_on_the_host_and_asked_here(rooms: Rooms, host: Sshd) -> None:
    """SmolLM2 with llama.cpp, which the Python of the host has; its command ends with a reason of the host's."""
    openai = pytest.importorskip("openai")
    settings = {"context": "256", "parallel": "1", "threads": "1", "timeout": "100"}
    asked = {"path": str(small_llm()), "on": "box", "settings": settings}

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            check = await lab.deployments.check_deploy(CheckDeploy(**asked))
            assert (check.where, check.engine, check.environment) == ("box", "llama.cpp", "present")
            assert check.memory.startswith("It needs weights 98 MB")
            two = NewDeployment(**asked, name="talks", trust=check.digest, scale=Scale(min=2, max=2))
            await lab.deployments.deploy(two)
            found = await running(lab, "talks")
            assert found.serving is not None and found.serving.settings["context"] == "256"
            key = (await lab.deployments.get_deployment_key("talks")).key
            assert (await asyncio.to_thread(ask, found.url, "wrong", path="/v1/models"))[0] == 401
            client = openai.AsyncOpenAI(base_url=found.url + "/v1", api_key=key, max_retries=0, timeout=60)
            parts = await client.chat.completions.create(
                model="talks", messages=[{"role": "user", "content": "Count to five."}], max_tokens=8,
                temperature=0, stream=True,
            )  # fmt: skip
            assert len([each async for each in parts]) >= 8
            await until(
                lambda: lab.deployments.get_deployment("talks"),
                lambda each: (each.revisions[0].replicas or Replicas()).ready == 2,
            )
            for _ in range(3):
                await client.completions.create(model="talks", prompt="Hello", max_tokens=1)
            (weights,) = (host.home / STATE / "talks").glob("revisions/*/model/*.gguf")
            assert weights.stat().st_nlink == 2, "the host has the file once"
            route = json.loads((host.home / STATE / "talks" / "route.json").read_bytes())
            assert route["timeout_s"] == 100
            shown = await until(
                lambda: lab.deployments.get_deployment("talks"), lambda each: each.requests >= 4
            )
            assert (shown.requests, shown.errors) == (4, 0), "each is counted once, and not by each replica"
            assert (
                shown.serving is not None and (shown.serving.tokens or TokenFigures()).completion_tokens >= 8
            )
            await lab.deployments.stop_deployment("talks")
            await lab.deployments.delete_deployment("talks")
            missing = NewDeployment(command="no-such-program-there $PORT", name="none", on="box")
            await lab.deployments.deploy(missing)
            failed = await until(
                lambda: lab.deployments.get_deployment("none"), lambda each: each.state == "failed"
            )
            assert failed.message.startswith("Cannot start no-such-program-there: No such file"), failed
            await lab.deployments.delete_deployment("none")

    bounded(test())


def test_a_host_fetches_the_weights_from_the_hub_itself(
    rooms: Rooms, host: Sshd, far: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub of loopback is cut in the middle of the file, then gives another content: the Lab sends the file then."""
    repository = far.repositories["acme/far-GGUF"] = Repository(
        {"far.gguf": small_llm().read_bytes()}, gated=True
    )
    monkeypatch.setenv("OUR_TOKEN", TOKEN)
    asked: dict[str, Any] = {
        "model": f"hf:acme/far-GGUF@{repository.commit}", "secret": "OUR_TOKEN", "on": "box",
        "settings": {"context": "256", "parallel": "1", "threads": "1"},
    }  # fmt: skip
    hub, size = far.url.removeprefix("http://"), "98 MB"

    def forget() -> None:
        """The host keeps files by their hash; without them it is a new one."""
        for each in host.home.glob(".local/state/genops-lab/evaluations/files/*"):
            each.unlink()

    async def deployed(lab: Lab, trust: str) -> list[str]:
        forget()
        far.asked.clear()
        await lab.deployments.deploy(NewDeployment(**asked, name="fetches", trust=trust))
        found = await running(lab, "fetches")
        lines = (await lab.tasks.get_task_log(found.task_id)).lines
        (weights,) = (host.home / STATE / "fetches").glob("revisions/*/model/far.gguf")
        assert weights.stat().st_size == len(repository.files["far.gguf"])
        words = " ".join(word for command in commands_with(str(host.home)) for word in command)
        logs = "".join(each.read_text() for each in host.home.rglob("*.json") if each.is_file())
        assert TOKEN not in words and TOKEN not in logs and TOKEN not in "".join(lines)
        await lab.deployments.stop_deployment("fetches")
        await lab.deployments.delete_deployment("fetches")
        return [line for line in lines if "box" in line]

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            body = CheckDeploy(**{**asked, "on": ""})
            task = await lab.tasks.wait((await lab.application.get(FetchedService).fetch_model(body)).id)
            assert task.state == "done", task
            forget()
            check = await lab.deployments.check_deploy(CheckDeploy(**asked))
            plan = rf" box fetches {size} from {hub} itself, in about \d+ (s|min)\.$"
            assert re.search(plan, check.memory), check.memory
            with monkeypatch.context() as patch:
                patch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
                away = (await lab.deployments.check_deploy(CheckDeploy(**asked))).memory
            assert (
                "box cannot fetch from 127.0.0.1:9 (" in away and f"so this machine sends {size}." in away
            ), away
            far.cut_after = 40_000_000
            lines = await deployed(lab, check.digest)
            assert [each for each in far.asked if each[0] == "far.gguf"] == [
                ("far.gguf", 0),
                ("far.gguf", 40_000_000),
            ]
            assert any(f"box fetches from {hub}: {size} of {size}." in line for line in lines), lines
            repository.lying.add("far.gguf")
            lines = await deployed(lab, check.digest)
            assert any("it gave another content. This machine sends the rest." in line for line in lines), (
                lines
            )

    bounded(test())


@pytest.mark.exhaustive
def test_the_environment_of_a_model_is_built_there(
    rooms: Rooms,
    training: Training,
    package_home: Home,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By uv from an index, with a package that the Python of the target lacks. That Python is too old for MLflow."""
    monkeypatch.delitem(rooms.work._kinds, KIND)
    uv, old = uv_folder(), find_python(8)
    if uv is None or old is None:
        pytest.skip("no package index can be reached, or there is no Python 3.8")
    packages = package_folder(tmp_path_factory.mktemp("packages"))
    logged = training.digits(requirements=["mlflow", "scikit-learn", "skops", "goltiny==1.0"])
    rooms.trust(logged.folder, logged.run_id)
    register(rooms, "built-digits", logged)
    links = {name: str(packages) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    path = f"{uv}:{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    variables = {"XDG_STATE_HOME": "", **index_variables(), **links, "PATH": path}

    async def test(host: Sshd) -> None:
        async with opened(rooms.settings.data_dir, host, target="built", python=str(old)) as lab:
            await lab.deployments.deploy(NewDeployment(model="built-digits", name="built", on="built"))
            found = await running(lab, "built")
            lines = (await lab.tasks.get_task_log(found.task_id)).lines
            assert any(line.startswith("Missing there: python 3.11") for line in lines), lines
            key = (await lab.deployments.get_deployment_key("built")).key
            answer = await asyncio.to_thread(ask, found.url, key, logged.inputs.tolist())
            assert answer == (200, {"predictions": logged.predictions})
            await lab.deployments.stop_deployment("built")
            await lab.deployments.delete_deployment("built")

    with at_home(package_home, tmp_path_factory, **variables) as host:
        asyncio.run(asyncio.wait_for(test(host), 400))
