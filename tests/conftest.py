"""Fixtures that all rooms' tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

from tests.support.homes import Home, temporary_home

# A shell that starts this in the background has it ignore SIGINT, and every process that a test starts would
# inherit that: servers would not stop, scripts could not be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is.
settings.register_profile("genops", deadline=None)
settings.load_profile("genops")

pytest_plugins = ["pytest_jupyter.jupyter_core"]


@pytest.fixture
def home() -> Iterator[Home]:
    """A home of this test's own."""
    with temporary_home() as found:
        yield found


@pytest.fixture(scope="module")
def module_home() -> Iterator[Home]:
    """A home that the tests of a module share."""
    with temporary_home() as found:
        yield found


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """pytest-jupyter's fixture of this name closes the loop after each test, which fails while Playwright keeps
    its own in this thread, and would end what a module's fixtures keep open. Async tests run in the one loop of
    ``jupyter_core.utils.ensure_event_loop``."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Whole, what a test that was run again had failed with: it is a fault to find, whatever came of the second run."""
    first_tries = terminalreporter.stats.get("rerun", [])
    if first_tries:
        terminalreporter.section("UNSTEADY: failed and were run again", sep="=", red=True)
    for report in first_tries:
        terminalreporter.section(report.nodeid, sep="_")
        terminalreporter.line(report.longreprtext)
        for name, text in report.sections:
            terminalreporter.section(name, sep="-")
            terminalreporter.line(text[-8000:])
