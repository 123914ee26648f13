"""The supervised MLflow server: a key, one address, started when it is asked and again when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from genops_lab.core.settings import Settings
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.models import KernelTracking, KernelTrackingQuery
from genops_lab.experiments.server import MlflowServer
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.processes import runs
from tests.support.strangers import half_open, is_cut, with_usual_files
from tests.support.warm import SERVER, program, script

from .conftest import Room, in_the_tests_loop, open_room, until, use_clean_environment

COLD = tuple(MlflowServer.program)
KERNEL = """
import mlflow
with mlflow.start_run(run_name="through the server") as run:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_text("x", "note.txt")
print(run.info.run_id)
"""


@pytest.fixture(scope="module")
def shared(module_home: Home) -> Iterator[Room]:
    """A room that tests share, the last of which ends its server: a process of its own as a user's is, which takes 5 s
    of CPU to start."""
    with pytest.MonkeyPatch.context() as patch:
        use_clean_environment(patch)
        patch.setattr(MlflowServer, "program", COLD)
        place_store(module_home.data)
        opened = open_room(module_home.data)
        yield opened
        in_the_tests_loop(opened.close())


async def ask(address: KernelTracking, **headers: str) -> int:
    """The status of a request for experiments; waits for a server that starts."""
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        url = f"{address.tracking_uri}/api/2.0/mlflow/experiments/search"
        return (await client.post(url, json={"max_results": 1}, headers=headers)).status_code


async def test_another_versions_kernel_works_through_the_keyed_server(
    shared: Room, module_home: Home
) -> None:
    room, home = shared, module_home
    address = await room.tracking.kernel_tracking(KernelTrackingQuery(mlflow_version="2.22.0"))
    assert address.tracking_uri.startswith("http://127.0.0.1:")
    assert address.artifact_root == "" and len(address.token) > 30
    assert room.mlflow.server.pid is None, "nobody asked yet"
    folder = home.data / "mlflow"
    assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
    right = f"Bearer {address.token}"
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": address.token}):
        assert await ask(address, **wrong) == 401
    assert await ask(address, Authorization=right) == 200
    async with httpx.AsyncClient(timeout=120, trust_env=False) as client:
        for path in ("/", "/health", "/static-files/x", "/ajax-api/2.0/mlflow/runs/get"):
            assert (await client.get(address.tracking_uri + path)).status_code == 401, path
    first = room.mlflow.server.pid
    assert first is not None
    environment = home.environment(
        MLFLOW_TRACKING_URI=address.tracking_uri, MLFLOW_TRACKING_TOKEN=address.token
    )
    process = await asyncio.create_subprocess_exec(
        *script(KERNEL), env=environment, cwd=home.work, stdout=asyncio.subprocess.PIPE
    )
    out, _error = await process.communicate()
    run_id = out.decode().split()[-1]
    detail = await room.experiments.get_run(run_id)
    assert (detail.run.name, detail.run.metrics) == ("through the server", {"loss": 0.5})
    assert (folder / "artifacts" / "0" / run_id / "artifacts" / "note.txt").read_text() == "x"
    # a second Lab of the same user hands out the same address
    other = MlflowConnection(Settings(data_dir=home.data, mlflow_uri=address.tracking_uri))
    assert other.kind == "embedded"
    assert await other.kernel_tracking("2.22.0") == address
    assert other.server.pid is None
    await other.close()
    assert not any(Path(entry.path).name == "mlruns" for entry in os.scandir(folder))


async def test_a_browser_reads_mlflows_pages_and_changes_nothing(shared: Room, module_home: Home) -> None:
    found = await shared.experiments.open_mlflow_ui()
    assert found.this_machine
    url = httpx.URL(found.url)
    key = (module_home.data / "mlflow" / "server.key").read_text()
    assert (url.host, url.username, url.path) == ("127.0.0.1", "genops", "/genops-open")
    assert url.password and url.password not in key and key not in found.url
    base = f"http://127.0.0.1:{url.port}"
    click = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    own = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    foreign = {**own, "Sec-Fetch-Site": "cross-site"}
    api = "/ajax-api/2.0/mlflow"
    async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as stranger:
        asked = await stranger.get("/genops-open")
        assert (asked.status_code, asked.headers["www-authenticate"][:5]) == (401, "Basic")
        bearer = {"Authorization": f"Bearer {url.password}"}
        assert (await stranger.post(f"{api}/runs/search", json={}, headers=bearer)).status_code == 401
    async with httpx.AsyncClient(
        base_url=base, timeout=60, trust_env=False, auth=(url.username, url.password)
    ) as browser:
        opened = await browser.get("/genops-open", headers=click)
        assert (opened.status_code, opened.headers["location"]) == (302, f"{base}/"), (
            "no key in the page's address"
        )
        page = await browser.get("/", headers=click)
        assert page.status_code == 200 and "<script" in page.text
        search = await browser.post(f"{api}/experiments/search", json={"max_results": 1}, headers=own)
        assert search.status_code == 200
        # Questions of the pages of traces and evaluation runs, here without what they ask for.
        for question in ("metrics", "batchGetInfos"):
            answer = await browser.post(f"/ajax-api/3.0/mlflow/traces/{question}", json={}, headers=own)
            assert answer.status_code in (200, 400), answer.text
        changes = [
            await browser.post(f"{api}/{path}", json=body, headers=own)
            for path, body in (("experiments/create", {"name": "x"}), ("runs/delete", {"run_id": "r"}),
                               ("runs/search/../create", {}), ("experiments/search%2F..%2Fcreate", {"name": "x"}))
        ]  # fmt: skip
        changes += [
            await browser.request(verb, f"{api}/experiments/get", headers=own) for verb in ("PUT", "DELETE")
        ]
        assert [answer.status_code for answer in changes] == [403] * 6
        assert "read-only" in changes[0].text
        for headers in (foreign, {**click, "Sec-Fetch-Dest": "iframe"}, {**own, "Host": "evil.example"}, {}):
            other = await browser.get("/", headers=headers)
            assert other.status_code == 403, headers
        assert (await browser.post(f"{api}/experiments/search", json={}, headers=click)).status_code == 403
        file = await browser.get("/get-artifact?path=x&run_uuid=x", headers=own)
        assert file.headers["content-security-policy"] == "sandbox"


async def test_strangers_who_hold_connections_stop_nobody_and_fill_no_log(
    shared: Room, module_home: Home
) -> None:
    address = await shared.mlflow.kernel_tracking("2.22.0")
    right = f"Bearer {address.token}"
    assert await ask(address, Authorization=right) == 200
    assert shared.mlflow.server.pid is not None
    with_usual_files(shared.mlflow.server.pid)
    log = module_home.data / "mlflow" / "server.log"
    before = log.stat().st_size
    holding = half_open(int(address.tracking_uri.rpartition(":")[2]), 3000)
    held = await asyncio.to_thread(holding.__enter__)
    try:
        assert await ask(address, Authorization=right) == 200
        assert await asyncio.to_thread(is_cut, held[-1], 10), "who shows no key in 5 s is cut"
    finally:
        holding.__exit__(None, None, None)
    assert log.stat().st_size - before < 10_000


async def test_the_next_request_starts_it_after_it_died_and_after_it_was_unused(
    shared: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = shared.mlflow.server
    monkeypatch.setattr(MlflowServer, "program", program("genops_lab.experiments.server_guard", SERVER))
    address = await shared.mlflow.kernel_tracking("2.22.0")
    right = f"Bearer {address.token}"
    assert await ask(address, Authorization=right) == 200
    first = server.pid
    assert first is not None
    monkeypatch.setattr(server, "idle_s", 3.0)
    os.kill(first, signal.SIGKILL)
    await until(lambda: server.pid is None, 60.0)
    assert await ask(address, Authorization=right) == 200
    await until(lambda: server.pid is None, 60.0)
    _, writer = await asyncio.open_connection("127.0.0.1", int(address.tracking_uri.rsplit(":", 1)[1]))
    await until(lambda: server.pid)
    third = server.pid
    await shared.mlflow.close()
    writer.close()
    assert third is not None and not runs(third)
    # afterwards the address may be offered again
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # strangers were cut there a moment ago
        taken.bind(("127.0.0.1", int(address.tracking_uri.rsplit(":", 1)[1])))
        taken.listen()
        moved = await shared.mlflow.kernel_tracking("2.22.0")
    assert moved.tracking_uri != address.tracking_uri and moved.token == address.token


async def test_kernels_that_start_at_once_get_one_address(room: Room) -> None:
    found = await asyncio.gather(*(room.mlflow.kernel_tracking("2.22.0") for _ in range(8)))
    assert len(set(map(str, found))) == 1
