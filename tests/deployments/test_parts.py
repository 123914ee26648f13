"""Lifetimes, environments, logs, scrubbing: the parts by themselves."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import shutil
import sys
import tarfile
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from genops_lab.agent.model_variables import scoring_environment
from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore, SharedStore
from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.shared_tables import deployment_specs
from genops_lab.deployments import environments as environments_module
from genops_lab.deployments.environments import Environments, missing_requirements, package_sources, python_of
from genops_lab.deployments.https import tls_of
from genops_lab.deployments.lifetime import lifetime
from genops_lab.deployments.llms import scorer_settings
from genops_lab.deployments.logs import LogFollower, tail
from genops_lab.deployments.names import default_name, is_name
from genops_lab.deployments.record import Record
from genops_lab.deployments.records import KeyUsed, Records
from genops_lab.deployments.targets.environment_filter import building_environment
from genops_lab.deployments.targets.local_gateway import LocalGateway
from genops_lab.serving.engines import figures
from genops_lab.serving.engines.settings import (
    CHAT_TEMPLATE,
    SETTINGS,
    SGLANG,
    VLLM,
    WrongSetting,
    read_settings,
)
from genops_lab.serving.engines.starting import start_of

SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"


def system(root: Path, cgroup: str = SESSION, files: dict[str, str] | None = None) -> Path:
    """A pretended root folder."""
    for name, content in {"proc/self/cgroup": cgroup, **(files or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("environ", "cgroup", "files", "reason"),
    [
        ({}, SESSION, {}, ""),
        ({}, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope", {}, ""),
        ({}, SESSION, {"etc/systemd/logind.conf": "#KillUserProcesses=yes\n"}, ""),
        ({}, SESSION, {"etc/systemd/logind.conf": "KillUserProcesses=yes\n"}, "logout"),
        ({}, "0::/system.slice/jupyter-ada.service", {}, "jupyter-ada.service"),
        ({}, "0::/user.slice/user-1000.slice/user@1000.service/run-r5.scope", {}, "run-r5.scope"),
        ({}, SESSION, {".dockerenv": ""}, "container"),
        ({}, SESSION, {"run/.containerenv": ""}, "container"),
        ({}, "12:cpu:/docker/0123", {}, "container"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, SESSION, {".dockerenv": ""}, "pod"),
        ({"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}, SESSION, {}, "hub"),
    ],
)
def test_where_a_deployment_ends_with_its_server(
    tmp_path: Path, environ: dict[str, str], cgroup: str, files: dict[str, str], reason: str
) -> None:
    found = lifetime(environ, system(tmp_path, cgroup, files))
    assert found.outlives_server == (reason == "")
    assert reason in found.warning


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"context": "512"}, "'context' does not apply to MLflow models"),
        ({"batch": "1"}, "batch is '1'"),
        ({"batch_wait_ms": "5"}, "batch_wait_ms is given without batch"),
        ({"memory": "2"}, "memory is '2'"),
        ({"memory": "0 GB"}, "memory is '0 GB'"),
        ({"workers": "65"}, "workers is '65'"),
    ],
)
def test_settings_of_the_scorer_are_checked(given: dict[str, str], message: str) -> None:
    with pytest.raises(WrongSetting, match=message) as caught:
        scorer_settings(read_settings(given))
    assert caught.value.hint


def test_each_option_of_an_engine_is_one_that_it_has(tmp_path: Path) -> None:
    """The names were read from the engines' wheels by ``scripts/engine_options.py``: the engines need a GPU."""
    recorded = json.loads(Path(__file__).with_name("engine_options.json").read_bytes())
    values = {"number": "16", "share": "0.5", "flag": "true", "name": "hermes", "file": "x"}
    for engine, known in recorded.items():
        given = {
            name: each.choices[0] if each.kind == "choice" else values[each.kind]
            for name, each in SETTINGS.items()
            if each.options.get(engine)
        }
        serving = {"engine": engine, "settings": read_settings(given), CHAT_TEMPLATE: "{{ messages }}"}
        adapted = {"adapter": "adapter", "adapter_rank": 8} if engine == VLLM else {}
        argv = start_of({**serving, **adapted}, "chat", tmp_path, tmp_path, 1, "key").argv
        used = {each for each in argv if each.startswith("--")}
        if engine == SGLANG:
            used |= {f"--{name}" for name in json.loads((tmp_path / "sglang.yaml").read_bytes())}
        assert used >= {each.options[engine] for each in SETTINGS.values() if each.options.get(engine)}
        assert used <= set(known["options"]), (engine, known["version"], used - set(known["options"]))
        assert (tmp_path / "chat_template.jinja").read_text() == "{{ messages }}"
        for names in (figures._WAITING, figures._WORKING, figures._CACHE):
            assert set(names) & set(known["metrics"]), (engine, known["version"], names)


def test_secrets_do_not_reach_a_model() -> None:
    environ = {
        "PATH": "/bin", "LANG": "C.UTF-8", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "0", "SSH_AUTH_SOCK": "/s",
        "JUPYTERHUB_API_TOKEN": "t", "JPY_PARENT_PID": "1", "HF_TOKEN": "t", "CUDA_SECRET": "s", "AWS_SECRET": "s",
        "MLFLOW_TRACKING_PASSWORD": "p", "PIP_INDEX_URL": "https://index", "https_proxy": "p", "PYTHONPATH": "/x",
    }  # fmt: skip
    assert set(scoring_environment(environ)) == {"PATH", "LANG", "LC_ALL", "CUDA_VISIBLE_DEVICES"}
    assert set(building_environment(environ)) - set(scoring_environment(environ)) == {
        "PIP_INDEX_URL",
        "https_proxy",
    }


def model(folder: Path, requirements: str, python: str = "") -> Path:
    """A model's folder, as far as environments look at it."""
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    (folder / "python_env.yaml").write_text(f"python: {python or '{}.{}.1'.format(*sys.version_info)}\n")
    return folder


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    here = importlib.metadata.version("msgspec")
    lines = [
        f"msgspec=={here}", "msgspec<0.1", "nobody-has-this==1  # a comment", "# nothing", "-c constraints.txt",
        "another==1; python_version < '3'", "./wheels/x.whl", "--extra-index-url=https://index",
    ]  # fmt: skip
    assert missing_requirements(model(tmp_path / "m", "\n".join(lines))) == [
        f"msgspec<0.1 (here: {here})",
        "nobody-has-this==1",
        "./wheels/x.whl",
    ]
    assert missing_requirements(model(tmp_path / "m", "msgspec", "2.7.18")) == [
        "python 2.7 (here: {}.{})".format(*sys.version_info)
    ]
    assert missing_requirements(tmp_path) == []


def test_where_packages_come_from_is_named(tmp_path: Path) -> None:
    lines = [
        "numpy==1.26.0 --hash=sha256:ab", "--pre", "--index-url https://one", "-f https://two", "-c constraints.txt",
        "-c http://three/c.txt", "-r ../outside.txt", "direct @ https://four/x.whl", "-e git+https://five/x.git",
        "./wheels/x.whl", "numpy \\\n --extra-index-url https://six", "envs @ https://seven/${HOME}.whl",
    ]  # fmt: skip
    folder = model(tmp_path / "m", "\n".join(lines))
    (folder / "constraints.txt").write_text("scipy<2\n--trusted-host eight\n-c constraints.txt\n")
    (tmp_path / "outside.txt").write_text("--index-url https://nine\n")
    assert package_sources(folder) == [
        "--index-url https://one", "-f https://two", "-c http://three/c.txt", "-r ../outside.txt",
        "direct @ https://four/x.whl", "-e git+https://five/x.git", "./wheels/x.whl",
        "numpy   --extra-index-url https://six", "envs @ https://seven/${HOME}.whl", "--trusted-host eight",
    ]  # fmt: skip
    assert package_sources(tmp_path) == []


@pytest.mark.parametrize("written", ["/usr/bin/python", "3.11; x", "3", "{a: b}", "[3.11]"])
def test_a_model_names_a_version_of_python_and_no_program(tmp_path: Path, written: str) -> None:
    assert python_of(model(tmp_path / "m", "", f"{written}\n")) == ""
    assert python_of(model(tmp_path / "m", "", "3.10")) == "3.10"


BACKEND = """
import pathlib, sys, time, zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("PID", __import__("os").getpid(), flush=True)
    pathlib.Path({mark!r}).write_text(str(__import__("os").getpid()))
    time.sleep({seconds})
    name = "gol_sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("gol_sample.py", "answer = 42")
        wheel.writestr("gol_sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: gol-sample\\nVersion: 1.0")
        wheel.writestr("gol_sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n")
        wheel.writestr("gol_sample-1.0.dist-info/RECORD", "")
    return name
"""


def sample(folder: Path, seconds: float) -> Path:
    """A source distribution whose build takes so long and needs no package index."""
    source = folder / "gol_sample-1.0"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "gol-sample"\nversion = "1.0"\n'
    )
    (source / "backend.py").write_text(BACKEND.format(mark=str(folder / "building"), seconds=seconds))
    archive = folder / "gol_sample-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(source, source.name)
    return archive


def sample_wheel(folder: Path) -> None:
    """A wheel with nothing to build."""
    spec: dict[str, str] = {}
    exec(BACKEND.format(mark=str(folder.parent / "building"), seconds=0), spec)
    spec["build_wheel"](folder)  # type: ignore[operator]


def hostile(folder: Path, ran: Path) -> None:
    """Files by the names of Python's own modules, which write ``ran``, and settings that say where packages are."""
    for name in ("venv.py", "pip.py", "ensurepip.py", "runpy.py", "encodings.py"):
        (folder / name).write_text(f"open({str(ran)!r}, 'a').write({name!r})\n")
    (folder / "uv.toml").write_text("nonsense = [\n")


@pytest.mark.parametrize("own_pip", [True, pytest.param(False, marks=pytest.mark.exhaustive)])
async def test_an_environment_is_built_once_and_no_file_of_a_model_runs_in_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_pip: bool
) -> None:
    """With this interpreter's pip, and with a copy in the environment where this one is too old or missing."""
    assert environments_module._own_pip_installs_elsewhere(), "this test's own pip is too old"
    monkeypatch.setattr(environments_module, "_own_pip_installs_elsewhere", lambda: own_pip)
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    environments = Environments(tmp_path / "environments", serving=())
    folder = model(tmp_path / "m", f"./{sample(tmp_path, 0).name}")
    sample_file = tmp_path / "gol_sample-1.0.tar.gz"
    sample_file.rename(folder / sample_file.name)
    hostile(folder, tmp_path / "ran")
    progress: list[str] = []
    first, second = await asyncio.gather(
        *(environments.interpreter(folder, progress.append) for _ in range(2))
    )
    assert first == second
    assert [line for line in progress if "was built before" in line]
    assert not (tmp_path / "ran").exists()
    assert bool(list(first.parents[1].rglob("pip/__main__.py"))) != own_pip
    process = await asyncio.create_subprocess_exec(
        str(first), "-c", "import gol_sample; raise SystemExit(gol_sample.answer)"
    )
    assert await process.wait() == 42
    assert [entry.name for entry in (tmp_path / "environments").iterdir()] == [first.parents[1].name]


async def test_no_file_of_a_model_runs_in_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    monkeypatch.setenv("UV_OFFLINE", "1")
    folder = model(tmp_path / "m", "./gol_sample-1.0-py3-none-any.whl")
    sample_wheel(folder)
    hostile(folder, tmp_path / "ran")
    await Environments(tmp_path / "environments", serving=()).interpreter(folder, lambda _line: None)
    assert not (tmp_path / "ran").exists()


@pytest.mark.exhaustive  # test_bad_days cancels one through the service
async def test_a_cancelled_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    environments = Environments(tmp_path / "environments", serving=())
    folder = model(tmp_path / "m", str(sample(tmp_path, 600)))
    build = asyncio.create_task(environments.interpreter(folder, lambda _line: None))
    mark = tmp_path / "building"
    while not (mark.exists() and mark.read_text()):
        assert not build.done(), build.result()
        await asyncio.sleep(0.05)
    builder = psutil.Process(int(mark.read_text()))
    build.cancel()
    with pytest.raises(asyncio.CancelledError):
        await build
    builder.wait(5)
    assert list((tmp_path / "environments").iterdir()) == []


async def test_a_build_that_fails_says_what_pip_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    environments = Environments(tmp_path / "environments", serving=())
    with pytest.raises(Failed, match="nobody-has-this"):
        await environments.interpreter(model(tmp_path / "m", "nobody-has-this==1"), lambda _line: None)
    assert list((tmp_path / "environments").iterdir()) == []


def test_a_tail_is_read_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    assert tail(path, 5) == []
    path.write_text("one\ntwo\nthree")
    assert tail(path, 2) == ["two", "three"]
    assert tail(path, 10) == ["one", "two", "three"]
    path.write_bytes(b"\xff\xfe broken\n")
    assert len(tail(path, 1)) == 1


def test_a_follower_tells_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("before\n")
    follower = LogFollower(path)
    with path.open("a") as stream:
        stream.write("one\ntw")
    assert follower.news() == ["one"]
    assert follower.news() == []
    with path.open("a") as stream:
        stream.write("o\n")
    assert follower.news() == ["two"]
    path.write_text("anew\n")
    assert follower.news() == ["anew"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("digits", "digits"),
        ("a/b c", "a-b-c"),
        ("数字", "model"),
        ("..", "model"),
        ("-é-", "e"),
        ("x" * 300, "x" * 63),
    ],
)
def test_default_names_are_names(text: str, name: str) -> None:
    assert default_name(text) == name
    assert is_name(name)


def record(created_at: float, state: str) -> Record:
    return Record(
        name="digits", model="digits", version=str(int(created_at)), state=state, revision=int(created_at),
        created_at=created_at, lease_until=0.0,
    )  # type: ignore[arg-type]  # fmt: skip


def test_what_is_deployed_is_told_to_the_shared_store(tmp_path: Path) -> None:
    store, shared = LocalStore(tmp_path / "store.db"), SharedStore.at("", tmp_path)
    records, outbox = Records(store), Outbox(store, shared)

    def specs() -> list[str]:
        outbox.deliver()
        with shared.reading() as connection:
            return list(connection.execute(select(deployment_specs.c.version)).scalars())

    def begin(new: Record, key: str) -> None:
        with store.transaction() as connection:
            records.begin(connection, new, key)

    begin(record(1.0, "failed"), "key")
    with pytest.raises(KeyUsed):
        begin(record(2.0, "failed"), "key")
    assert specs() == ["1"]
    begin(record(2.0, "failed"), "")
    assert specs() == ["2"]
    records.delete(record(1.0, "failed"))
    assert records.get("digits").version == "2", "its name is another deployment's by now"
    assert specs() == ["2"]
    records.delete(record(2.0, "failed"))
    assert specs() == []
    with pytest.raises(NotFound):
        records.get("digits")
    store.close()
    shared.close()


def test_a_port_for_other_machines_needs_a_name_and_a_certificate(tmp_path: Path) -> None:
    files = {"deployment_certificate": "chain.pem", "deployment_certificate_key": "key.pem"}
    assert tls_of(Settings(data_dir=tmp_path)) is None
    with pytest.raises(InvalidRequest, match="has no name and port"):
        tls_of(Settings(data_dir=tmp_path, deployment_https="gpu.example.org", **files))
    with pytest.raises(InvalidRequest, match=r"needs GenOpsLab\.deployment_certificate\."):
        tls_of(Settings(data_dir=tmp_path, deployment_https="gpu.example.org:8443"))
    tls = tls_of(Settings(data_dir=tmp_path, deployment_https="gpu.example.org:8443", **files))
    gateway = LocalGateway(tmp_path, tmp_path, tls)
    assert gateway.https == "https://gpu.example.org:8443" and not LocalGateway(tmp_path, tmp_path).https
