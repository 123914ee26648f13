"""A running deployment: predictions, its key, its doors, its figures."""

from __future__ import annotations

import http.client
import os
import signal
import stat
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.live import CHANGES
from genops_lab.deployments.models import KeyedDeployment, LogQuery
from tests.support.processes import runs
from tests.support.rooms import Logged, Rooms, eventually
from tests.support.strangers import half_open, is_cut, with_usual_files

from .conftest import ask, deploy, handle_path, own_port, process_of


def test_it_predicts_what_the_notebook_predicts(served: KeyedDeployment, digits: Logged) -> None:
    status, answer = ask(served.url, served.key, digits.inputs.tolist())
    assert (status, answer) == (200, {"predictions": digits.predictions})


@pytest.mark.parametrize("path", ["/invocations", "/ping", "/health", "/version", "/docs", "/nothing"])
@pytest.mark.parametrize("key", [None, "", "wrong", "ü"])
def test_nothing_is_told_without_the_key(served: KeyedDeployment, path: str, key: str | None) -> None:
    if key == "ü":
        key = key.encode().decode("latin-1")
    assert ask(served.url, key, path=path)[0] == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": "localhost.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_foreign_hosts_and_origins_are_refused(
    served: KeyedDeployment, digits: Logged, headers: dict[str, str]
) -> None:
    assert ask(served.url, served.key, digits.inputs.tolist(), headers=headers)[0] == 403


def test_the_names_of_this_machine_are_taken(served: KeyedDeployment, digits: Logged) -> None:
    port = urlsplit(served.url).port
    for host in (f"localhost:{port}", "localhost", f"[::1]:{port}"):
        assert ask(served.url, served.key, digits.inputs.tolist(), headers={"Host": host})[0] == 200


def test_a_body_that_is_too_large_is_refused_unread(served: KeyedDeployment) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)
    connection.putrequest("POST", "/served/invocations")
    connection.putheader("Authorization", f"Bearer {served.key}")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_content_length_that_is_no_number_is_refused(served: KeyedDeployment) -> None:
    connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)
    connection.putrequest("POST", "/served/invocations")
    connection.putheader("Authorization", f"Bearer {served.key}")
    connection.putheader("Content-Length", "many")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


def test_strangers_who_hold_connections_stop_nobody_and_fill_no_log(
    rooms: Rooms, served: KeyedDeployment, digits: Logged
) -> None:
    process = process_of(rooms, "served")
    with_usual_files(process.pid)
    log = handle_path(rooms, "served").with_name("log.txt")
    before = log.stat().st_size
    with half_open(own_port(rooms, "served"), 3000) as held:
        for _ in range(3):
            assert ask(served.url, served.key, digits.inputs.tolist())[0] == 200
        assert process.num_fds() < 512
        assert is_cut(held[-1], 10), "who shows no key in 5 s is cut"
    assert log.stat().st_size - before < 10_000


def test_a_log_that_a_model_fills_is_moved_away_and_read_on(rooms: Rooms, served: KeyedDeployment) -> None:
    log = handle_path(rooms, "served").with_name("log.txt")
    with log.open("ab") as stream:  # as a model's own programs write
        # At once: what is written while the file is copied is lost when it is emptied.
        stream.write(b"".join(b"a model that prints, line %06d\n" % number for number in range(140_000)))
        stream.flush()
        eventually(lambda: log.stat().st_size, lambda size: size < 100_000, 10)
        stream.write(b"and goes on\n")
    assert log.with_name("log.txt.1").stat().st_size <= 4 * 1024 * 1024
    lines = rooms.run(rooms.deployments.get_deployment_log("served", LogQuery(lines=3))).lines
    assert lines == ["a model that prints, line 139998", "a model that prints, line 139999", "and goes on"]


def test_requests_and_errors_are_counted_and_told(
    rooms: Rooms, served: KeyedDeployment, digits: Logged
) -> None:
    heard: list[dict[str, Any]] = []
    rooms.loop.call_soon_threadsafe(
        rooms.live.join, "deployment:served", lambda _topic, data: heard.append(data)
    )
    rooms.loop.call_soon_threadsafe(rooms.live.join, CHANGES, lambda _topic, _data: None)
    look = lambda: rooms.run(rooms.deployments.get_deployment("served"))  # noqa: E731
    time.sleep(1)  # the figures of the requests before are written by then
    before = look()
    rooms.events_seen.clear()
    assert ask(served.url, served.key, digits.inputs.tolist())[0] == 200
    assert ask(served.url, served.key, [["no", "digits"]])[0] == 400
    assert ask(served.url, "wrong", digits.inputs.tolist())[0] == 401
    after = eventually(look, lambda found: found.errors > before.errors, 5)
    assert (after.requests, after.errors) == (before.requests + 2, before.errors + 1)
    assert after.latency_ms is not None and after.latency_ms > 0
    eventually(lambda: heard[-1:], lambda last: bool(last) and last[0]["requests"] == after.requests, 5)
    assert set(heard[-1]) == {"requests", "errors", "latency_ms", "lines"}
    eventually(lambda: rooms.events_seen, lambda events: ("deployment", "served") in events, 5)


def test_each_request_extends_the_lease(rooms: Rooms, served: KeyedDeployment, digits: Logged) -> None:
    assert ask(served.url, served.key, digits.inputs.tolist())[0] == 200
    eventually(
        lambda: rooms.run(rooms.deployments.get_deployment("served")).lease_until,
        lambda until: until > served.lease_until,
        5,
    )
    renewed = rooms.run(rooms.deployments.renew_deployment("served"))
    assert renewed.lease_until > served.lease_until


def test_the_key_is_in_one_private_file_and_nowhere_else(rooms: Rooms, served: KeyedDeployment) -> None:
    folder = rooms.settings.data_dir / "deployments" / "served"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    holding = [
        path.name for path in folder.rglob("*") if path.is_file() and served.key.encode() in path.read_bytes()
    ]
    assert holding == ["key"]
    process = process_of(rooms, "served")
    assert served.key not in " ".join(process.cmdline())
    assert served.key not in str(process.environ())
    assert rooms.run(rooms.tasks.list_tasks())[0].id
    logs = [
        rooms.run(rooms.tasks.get_task_log(task.id)).lines for task in rooms.run(rooms.tasks.list_tasks())
    ]
    assert served.key not in str(logs)


def test_the_process_is_alone_and_its_environment_scrubbed(rooms: Rooms, served: KeyedDeployment) -> None:
    process = process_of(rooms, "served")
    assert os.getpgid(process.pid) == process.pid
    environment = process.environ()
    assert not [
        name for name in environment if name.startswith(("JUPYTER", "JPY_", "SSH_")) or "TOKEN" in name
    ]
    listening = [each.laddr for each in process.net_connections(kind="inet") if each.status == "LISTEN"]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", own_port(rooms, "served"))]
    direct = f"http://127.0.0.1:{own_port(rooms, 'served')}"
    assert ask(direct, served.key, [[0]])[0] == 401, "the gateway alone knows the process's key"


def test_what_serves_already_is_not_deployed_again(rooms: Rooms, served: KeyedDeployment) -> None:
    again = deploy(rooms, "digits", name="served", version=served.version)
    assert (again.state, again.revision, again.updating_to, again.url) == ("running", 1, 0, served.url)
    with pytest.raises(Conflict, match="running"):
        rooms.run(rooms.deployments.delete_deployment("served"))


@pytest.mark.parametrize(
    "name", ["../up", "a/b", ".hidden", "-x", "x" * 64, "ziffern-ü", "a b", "a\nb", "..", "a\n"]
)
def test_names_that_leave_the_folder_or_cannot_be_a_path_are_refused(
    rooms: Rooms, digits: Logged, name: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        deploy(rooms, "digits", name=name)
    assert "such as" in caught.value.hint


def test_an_unknown_name_is_answered_with_a_near_one(rooms: Rooms, served: KeyedDeployment) -> None:
    with pytest.raises(NotFound) as caught:
        rooms.run(rooms.deployments.get_deployment("servd"))
    assert (caught.value.message, caught.value.hint) == (
        "There is no deployment 'servd'.",
        "Did you mean served? List the deployments: genops deployments list",
    )


@pytest.mark.parametrize("name", ["nobody", "../served", "x" * 500])
def test_unknown_names_are_not_found(rooms: Rooms, name: str) -> None:
    service = rooms.deployments
    for work in (
        service.get_deployment(name),
        service.stop_deployment(name),
        service.renew_deployment(name),
        service.get_deployment_log(name, LogQuery()),
    ):
        with pytest.raises(NotFound):
            rooms.run(work)
    rooms.run(service.delete_deployment(name))


def test_the_log_is_told_from_its_end(rooms: Rooms, served: KeyedDeployment) -> None:
    path = handle_path(rooms, "served").with_name("log.txt")
    with path.open("a") as stream:
        stream.writelines(f"line {number}\n" for number in range(300_000))
    found = rooms.run(rooms.deployments.get_deployment_log("served", LogQuery(lines=3)))
    assert found.lines == ["line 299997", "line 299998", "line 299999"]
    with pytest.raises(InvalidRequest):
        rooms.run(rooms.deployments.get_deployment_log("served", LogQuery(lines=5001)))


def test_a_frozen_process_is_stopped_all_the_same(
    rooms: Rooms, served: KeyedDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test: it stops what those above share."""
    monkeypatch.setattr("genops_lab.deployments.targets.local.STOP_S", 1.0)
    process = process_of(rooms, "served")
    process.send_signal(signal.SIGSTOP)
    assert rooms.run(rooms.deployments.stop_deployment("served")).state == "stopped"
    assert not runs(process.pid)
