"""An artifact's bytes over HTTP: harmless, contained, and never held in memory."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from genops_lab.core.file_response import disposition
from tests.support import exhaustive
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

SCRIPT = "<!doctype html><script>fetch('/genops/runs')</script>"
BIG = 2_000_000_000 if exhaustive.ALL else 250_000_000


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    arguments = ["--ServerApp.allow_unauthenticated_access=True"]
    with running_lab(module_home, arguments=arguments) as found:
        yield found


@pytest.fixture(scope="module")
def run_id(server: LabServer) -> str:
    """A run with a page, a large file, and links that lead out."""
    from mlflow import MlflowClient

    server.get("genops/runs")
    client = MlflowClient(f"sqlite:///{server.home.data / 'mlflow' / 'mlflow.db'}")
    found = str(client.create_run("0", run_name="files").info.run_id)
    client.log_text(found, SCRIPT, "out/<script>.html")
    root = Path(client.get_run(found).info.artifact_uri.removeprefix("file://"))
    with (root / "big.bin").open("wb") as stream:
        stream.truncate(BIG)
    secret = server.home.path / "secret.txt"
    secret.write_text("not yours")
    (root / "link.txt").symlink_to(secret)
    (root / "out" / "up").symlink_to(server.home.path)
    return found


def answer(server: LabServer, run_id: str, path: str, **headers: str) -> tuple[int, http.client.HTTPResponse]:
    """The answer, not read yet; ``path`` is put into the URL as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    given = {"Authorization": f"token {server.token}", **headers}
    connection.request("GET", f"/genops/runs/{run_id}/artifact?path={path}", headers=given)
    found = connection.getresponse()
    return found.status, found


def test_a_page_comes_as_an_attachment_that_can_do_nothing(server: LabServer, run_id: str) -> None:
    status, found = answer(server, run_id[:12], quote("out/<script>.html"))
    assert (status, found.read().decode()) == (200, SCRIPT)
    policy = found.headers.get_all("Content-Security-Policy")
    assert policy and len(policy) == 1 and policy[0].startswith("sandbox; default-src 'none'")
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert found.headers["Content-Type"] == "application/octet-stream"
    assert found.headers["Cache-Control"] == "no-store"
    assert found.headers["Content-Disposition"] == (
        "attachment; filename=\"_script_.html\"; filename*=UTF-8''%3Cscript%3E.html"
    )


def test_a_name_cannot_end_its_header() -> None:
    assert disposition('a/x"\r\nSet-Cookie: y') == (
        "attachment; filename=\"x___Set-Cookie_ y\"; filename*=UTF-8''x%22%0D%0ASet-Cookie%3A%20y"
    )
    assert disposition("") == "attachment; filename=\"artifact\"; filename*=UTF-8''"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "../../../../mlflow.db",
        "out/../../../../mlflow.db",
        "%2e%2e%2f%2e%2e%2fmlflow.db",
        "%252e%252e%252fmlflow.db",
        "..%5C..%5Cmlflow.db",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "out//x",
        "x%00.html",
        "link.txt",
        "out/up/secret.txt",
        "out",
        "file:///etc/passwd",
        "none.txt",
    ],
)
def test_a_path_stays_below_the_runs_artifacts(server: LabServer, run_id: str, path: str) -> None:
    status, found = answer(server, run_id, path)
    body = found.read()
    assert status in (400, 404), body
    assert b"not yours" not in body and b"root:" not in body and b"Traceback" not in body
    assert found.headers["Content-Security-Policy"].startswith("sandbox;")


def test_strangers_get_nothing(server: LabServer, run_id: str) -> None:
    path = quote("out/<script>.html")
    for headers in ({"Authorization": "token wrong"}, {"Authorization": "", "Cookie": "_xsrf=X"}):
        status, found = answer(server, run_id, path, **headers)
        assert status == 403
        assert SCRIPT.encode() not in found.read()
    assert answer(server, "0" * 32, path)[0] == 404


def test_a_large_file_costs_no_memory(server: LabServer, run_id: str) -> None:
    own = psutil.Process(server.process.pid)
    server.get("genops/runs")
    before = own.memory_info().rss
    status, found = answer(server, run_id, "big.bin")
    assert status == 200
    read, highest, looked_at = 0, before, 0
    while chunk := found.read(4_000_000):
        read += len(chunk)
        if read - looked_at > 100_000_000:
            looked_at, highest = read, max(highest, own.memory_info().rss)
    assert read == BIG
    assert highest - before < 100_000_000


def test_who_leaves_in_the_middle_leaves_no_error(server: LabServer, run_id: str) -> None:
    _, found = answer(server, run_id, "big.bin")
    assert len(found.read(1000)) == 1000
    found.close()
    assert answer(server, run_id, quote("out/<script>.html"))[0] == 200
    assert "Traceback" not in server.log
