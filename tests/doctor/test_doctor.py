"""The doctor on real parts: what it finds, and what it must not tell."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from genops_lab import __version__
from genops_lab.agent.gpus.found import Found, gpu
from genops_lab.core.models import Check, Diagnosis
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore, SharedStore, post
from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.shared_tables import deployment_specs
from genops_lab.doctor.checks import environment, storage, targets, tracking, versions
from genops_lab.doctor.redaction import Redactor
from genops_lab.doctor.service import DoctorService
from genops_lab.experiments.backends.embedded import is_ready
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.hosts.models import Target
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.mlflow_schemas import OF_MLFLOW_2_20, make_database, revision_of
from tests.support.warm import warm_workers

CARDS = [
    gpu(0, "nvidia", name="NVIDIA H100"),
    gpu(1, "nvidia", name="NVIDIA H100"),
    gpu(0, "amd", name="AMD Instinct"),
]


@dataclass
class Places:
    """Targets as the service lists them; links and their states are tested in tests/hosts."""

    known: list[Target]

    async def list_targets(self) -> list[Target]:
        return self.known


class NoOutputs:
    """Nothing stands in their way; tests/kernels/outputs has what does."""

    limits: ClassVar[list[str]] = []
    not_kept: ClassVar[list[str]] = []


@dataclass
class Parts:
    """What a Lab has for its doctor."""

    settings: Settings
    store: LocalStore
    mlflow: MlflowConnection
    targets: Places

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.store, SharedStore.at(self.settings.store_url, self.settings.data_dir))


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """This process lives in the test's home."""
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    # These come before what the environment of the tests has installed.
    monkeypatch.setenv("JUPYTER_PATH", str(home.path / "first"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(home.path / "first-config"))
    home.data.mkdir(parents=True, mode=0o700)
    yield home


@asynccontextmanager
async def doctor(
    home: Home, *, known: list[Target] | None = None, first_start: bool = False, **settings: object
) -> AsyncIterator[DoctorService]:
    if not first_start:
        place_store(home.data)
    made = Settings(data_dir=home.data, **settings)  # type: ignore[arg-type]
    parts = Parts(made, LocalStore(home.data / "store.db"), MlflowConnection(made), Places(known or []))
    try:
        with warm_workers():
            yield DoctorService(
                parts.settings, parts.store, parts.outbox, parts.mlflow, parts.targets, NoOutputs()
            )
    finally:
        await parts.mlflow.close()
        parts.store.close()


def found(diagnosis: Diagnosis, id: str) -> Check:
    [check] = [each for each in diagnosis.checks if each.id == id]
    return check


def one(checks: list[Check], id: str) -> Check:
    return found(Diagnosis(checks, ""), id)


async def test_status(at_home: Home) -> None:
    async with doctor(at_home, locked={"b": "2", "a": "1"}, rooms=("compute",), hub=True) as service:
        status = await service.get_status()
    assert (status.version, status.mlflow_kind, status.hub) == (__version__, "embedded", True)
    assert [(each.name, each.value) for each in status.locked] == [("a", "1"), ("b", "2")]
    assert status.rooms == ["compute"]
    assert status.notices == []


async def test_a_healthy_lab_has_its_parts_in_order(at_home: Home) -> None:
    async with doctor(at_home) as service:
        diagnosis = await service.diagnose()
    for id in ("versions", "environment", "data", "store", "sockets", "network", "mlflow"):
        assert found(diagnosis, id).state == "ok", found(diagnosis, id)
    assert "journal wal" in found(diagnosis, "store").detail
    assert (
        f"Python {'.'.join(map(str, __import__('sys').version_info[:3]))}"
        in found(diagnosis, "versions").detail
    )
    for check in diagnosis.checks:
        assert check.title in diagnosis.text
        assert check.state != "warning" or check.hint


async def test_a_store_that_was_set_aside_is_told(at_home: Home) -> None:
    (at_home.data / "store.db").write_bytes(b"this is no database" * 100)
    async with doctor(at_home) as service:
        [notice] = (await service.get_status()).notices
        diagnosis = await service.diagnose()
    [aside] = at_home.data.glob("store.db.corrupt-*")
    assert str(aside) in notice
    assert found(diagnosis, "set_aside").state == "warning"
    assert aside.name in found(diagnosis, "set_aside").detail


async def test_a_damaged_mlflow_file_is_told(at_home: Home) -> None:
    async with doctor(at_home) as service:
        await service._mlflow.ensure()
        file = service._mlflow.embedded_file
        assert file is not None
        await service._mlflow.worker.stop()
        damaged = bytearray(file.read_bytes())
        damaged[4096 * 2 : 4096 * 8] = b"\xa5" * (4096 * 6)
        file.write_bytes(damaged)
        diagnosis = await service.diagnose()
    check = found(diagnosis, "mlflow")
    assert check.state == "error"
    assert "damaged" in check.detail
    assert "recover" in check.hint


async def test_a_database_of_an_older_mlflow_is_left_as_it_is(at_home: Home) -> None:
    file = at_home.path / "older.db"
    make_database(file)
    async with doctor(at_home, mlflow_uri=f"sqlite:///{file}") as service:
        check = found(await service.diagnose(), "mlflow")
    assert check.state == "error"
    assert "made by an older MLflow" in check.detail
    assert revision_of(file) == OF_MLFLOW_2_20


async def test_a_first_start_that_takes_long_is_no_error_and_is_not_cut(
    at_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "ANSWER_S", 0.05)
    async with doctor(at_home, first_start=True) as service:
        check = found(await service.diagnose(), "mlflow")
        file = service._mlflow.embedded_file
    assert check.state == "info"
    assert "still being created" in check.detail
    assert file is not None and is_ready(file)


async def test_nothing_private_is_told(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    private = {
        "JUPYTERHUB_API_TOKEN": "hub-token-4711aa",
        "MLFLOW_TRACKING_PASSWORD": "mlpass-4711bb",
        "AWS_SECRET_ACCESS_KEY": "aws/secret+4711cc",
        "OPENAI_API_KEY": "sk-4711dd",
        "SOME_DATABASE": "postgresql://dbuser:dbpass-4711ee@db.corp.example/x",
    }
    for name, value in {**private, "USER": "adalovelace", "LOGNAME": "adalovelace"}.items():
        monkeypatch.setenv(name, value)
    uri = "http://mluser:uripass-4711ff@127.0.0.1:9/adalovelace?token=query-4711gg"
    async with doctor(
        at_home, mlflow_uri=uri, base_url="/user/adalovelace/", root_dir=at_home.work
    ) as service:
        status = await service.get_status()
        diagnosis = await service.diagnose()
    assert found(diagnosis, "mlflow").state == "error"
    report = diagnosis.text + json.dumps([[each.detail, each.hint] for each in diagnosis.checks])
    for word in ("4711", "adalovelace", "mluser", str(at_home.path)):
        assert word not in report, report
    assert "~/" in diagnosis.text
    assert "4711" not in status.mlflow_uri
    assert "mluser" not in status.mlflow_uri


def test_redaction_of_errors_that_repeat_the_environment() -> None:
    redact = Redactor(
        {"HOME": "/home/ada", "USER": "ada", "MY_TOKEN": "abc$123.x", "U": "https://u:longpassword@h/"},
        uris=("https://mlflow.corp.example:5000/x",),
    )
    text = (
        "HTTPConnectionPool(host='mlflow.corp.example', port=5000): https://bob:pw@other/x?sig=1#f "
        "Authorization: Bearer eyJhbGciOi.abc abc$123.x longpassword "
        f"/home/ada/x /home/ada /home/adam /data/ada/y {socket.gethostname()}.example"
    )
    assert redact(text) == (
        "HTTPConnectionPool(host='<host>', port=5000): https://other/x "
        "Authorization: Bearer <secret> <secret> <secret> "
        "~/x ~ /home/adam /data/<user>/y <host>.example"
    )


def test_a_common_account_name_stays() -> None:
    assert Redactor({"HOME": "/root", "USER": "root"})("the root cause in /root/x") == "the root cause in ~/x"


def _install_front_end(home: Home, name: str, version: str) -> None:
    folder = home.path / "first" / "labextensions" / name
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": version}))


def test_a_front_end_of_another_version_is_an_error(at_home: Home) -> None:
    _install_front_end(at_home, "genops-lab", "9.9.9")
    check = one(versions.examine(), "front_end")
    assert check.state == "error"
    assert "9.9.9" in check.detail
    assert __version__ in check.detail
    assert "reload" in check.hint


def test_a_front_end_of_the_same_version_in_npm_words(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "__version__", "1.2.0a3")
    _install_front_end(at_home, "genops-lab", "1.2.0-alpha.3")
    assert one(versions.examine(), "front_end").state == "ok"


def test_a_disabled_front_end_is_an_error(at_home: Home) -> None:
    _install_front_end(at_home, "genops-lab", __version__)
    config = at_home.path / "first-config" / "labconfig"
    config.mkdir(parents=True)
    (config / "page_config.json").write_text(json.dumps({"disabledExtensions": {"genops-lab": True}}))
    check = one(versions.examine(), "front_end")
    assert (check.state, "disabled" in check.detail) == ("error", True)


def test_a_disabled_server_extension_is_an_error(at_home: Home) -> None:
    config = at_home.path / "first-config"
    config.mkdir()
    switches = {"ServerApp": {"jpserver_extensions": {"genops_lab": False}}}
    (config / "jupyter_server_config.json").write_text(json.dumps(switches))
    check = one(versions.examine(), "server_extension")
    assert (check.state, "disabled" in check.detail) == ("error", True)


def test_missing_widget_support_is_an_error(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "NEEDED", {"no-such-extension": "no_such_package"})
    assert one(versions.examine(), "widgets_no_such_package").state == "error"


def test_a_proxy_without_exceptions_is_a_warning(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    settings = Settings(data_dir=at_home.data)
    assert one(environment.examine(settings, False), "network").state == "warning"
    monkeypatch.setenv("no_proxy", "corp.example, localhost")
    assert one(environment.examine(settings, False), "network").state == "ok"


def examined(home: Home, store: LocalStore, store_url: str = "") -> list[Check]:
    """What the doctor says of the disk and of stores, which are closed then."""
    outbox = Outbox(store, SharedStore.at(store_url, home.data))
    try:
        return storage.examine(home.data, store, outbox)
    finally:
        store.close()
        outbox.shared.close()


def test_a_shared_store_that_is_away_is_a_warning(at_home: Home) -> None:
    store = LocalStore(at_home.data / "store.db")
    with store.transaction() as connection:
        post(connection, deployment_specs, {"name": "digits"}, remove=True)
    assert one(examined(at_home, store), "shared_store").state == "ok"
    url = f"postgresql://ada:planted-secret@/genops?host={at_home.path}"
    check = one(examined(at_home, store, url), "shared_store")
    assert (check.state, "wait for it in the data folder: 1" in check.detail) == ("warning", True)
    assert "planted-secret" not in check.detail and check.hint


@pytest.mark.parametrize(
    ("answer", "loaded", "state", "detail"),
    [
        (Found("ok", "", CARDS), True, "ok", "NVIDIA driver 590.48.01: 2 x NVIDIA H100, 1 x AMD Instinct."),
        (Found("ok", "rocm-smi fails.", CARDS[:1]), False, "ok", "1 x NVIDIA H100. rocm-smi fails."),
        (Found("error", "NVML does not answer."), True, "error", "NVML does not answer."),
        (
            Found("error", "There is a card without a driver."),
            False,
            "info",
            "There is a card without a driver.",
        ),
        (Found("none"), True, "info", "This machine has no GPU."),
    ],
)
def test_the_gpu_driver(
    answer: Found, loaded: bool, state: str, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers stand in for drivers, which are not here; tests/agent/test_gpus*.py test how they come about."""
    driver = tmp_path / "version"
    if loaded:
        driver.write_text(
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.48.01  Release Build\n"
        )
    monkeypatch.setattr("genops_lab.agent.gpus.DRIVER", str(driver))
    monkeypatch.setattr("genops_lab.agent.gpus.GpuReader.read", lambda _reader: answer)
    check = one(environment.examine(Settings(data_dir=tmp_path), False), "gpu")
    assert (check.state, check.detail, bool(check.hint)) == (state, detail, state == "error")


def test_a_long_socket_path_is_an_error(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOPS_RUNTIME_DIR", str(at_home.path / ("x" * 90)))
    check = one(examined(at_home, LocalStore(at_home.data / "store.db")), "sockets")
    assert (check.state, "too long" in check.detail) == ("error", True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_an_error(at_home: Home) -> None:
    store = LocalStore(at_home.path / "store.db")
    at_home.data.chmod(0o500)
    check = one(examined(at_home, store), "data")
    at_home.data.chmod(0o700)
    assert check.state == "error"


def test_a_locked_or_whole_file_is_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    assert storage.damage_of(path) is None
    connection.execute("BEGIN EXCLUSIVE")
    assert storage.damage_of(path) is None
    connection.close()


async def test_a_part_that_cannot_be_examined_is_told(at_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async with doctor(at_home) as service:
        await asyncio.to_thread((at_home.data / "store.db").unlink)
        monkeypatch.setattr(versions, "REPORTED", None)
        diagnosis = await service.diagnose()
    check = found(diagnosis, "versions")
    assert (check.state, "This check failed" in check.detail) == ("error", True)
    assert found(diagnosis, "mlflow").state == "ok"


def target(name: str, state: str) -> Target:
    return Target(
        name=name, kind="ssh", host=f"{name}.corp.example", python="python3", carrier="auto",
        kernel_name=f"genops-{name}", state=state, message=f"{name}.corp.example is away.",
    )  # fmt: skip


async def test_targets_that_could_not_be_reached_are_named_without_their_hosts(at_home: Home) -> None:
    known = [target("near", "up"), target("far", "failed"), target("new", "idle"), target("cut", "down")]
    async with doctor(at_home, known=known) as service:
        diagnosis = await service.diagnose()
    check = found(diagnosis, "targets")
    assert check.state == "warning"
    assert "4 in all, 1 connected" in check.detail and "far, cut" in check.detail
    assert "genops targets test far" in check.hint
    assert "corp.example" not in diagnosis.text


def test_an_ssh_folder_that_others_may_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "ssh"
    assert one(targets.examine([], folder), "ssh_folder").state == "info"
    folder.mkdir(mode=0o700)
    assert one(targets.examine([], folder), "ssh_folder").state == "ok"
    key = folder / "id_work"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (folder / "id_work.pub").write_text("ssh-ed25519 AAAA")
    (folder / "id_work.pub").chmod(0o644)
    key.chmod(0o644)
    check = one(targets.examine([], folder), "ssh_folder")
    assert check.state == "warning" and "id_work." in check.detail and "id_work.pub" not in check.detail
    assert "chmod" in check.hint
    key.chmod(0o600)
    folder.chmod(0o777)
    assert "ssh" in one(targets.examine([], folder), "ssh_folder").detail
    assert one(targets.examine([], folder), "ssh_folder").state == "warning"


def test_known_hosts_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert one(targets.examine([], tmp_path), "known_hosts").state == "info"
    (tmp_path / "known_hosts").write_text("")
    assert one(targets.examine([], tmp_path), "known_hosts").state == "ok"
    (tmp_path / "known_hosts").unlink()
    (tmp_path / "known_hosts").mkdir()
    assert one(targets.examine([], tmp_path), "known_hosts").state == "warning"


def test_an_ssh_program_is_named_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert one(targets.examine([], tmp_path), "ssh").state == "info"
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho OpenSSH_9.9 >&2\n")
    program.chmod(0o755)
    check = one(targets.examine([], tmp_path), "ssh")
    assert check.state == "ok" and "OpenSSH_9.9" in check.detail
    program.write_text("no program at all")
    assert one(targets.examine([], tmp_path), "ssh").state == "warning"
