"""Fixtures that all rooms' tests share."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support import exhaustive
from tests.support.golden import Sentences
from tests.support.homes import Home, temporary_home

# Without compiled files each of the run's processes, Labs and kernels too, compiles what it imports: 0.3 CPU seconds a
# Lab, 10 and more for the tests themselves in each worker.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts this in the background has it ignore SIGINT, and every process that a test starts would
# inherit that: servers would not stop, scripts could not be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A slow example on a busy machine is no fault.
settings.register_profile("daily", parent=settings(), deadline=None, max_examples=25)
settings.register_profile("exhaustive", parent=settings(), deadline=None)

pytest_plugins = ["pytest_jupyter.jupyter_core", "tests.minutes.plugin"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="run what is marked exhaustive too, and properties in full size"
    )
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        help="write the sentences of tests/golden that these tests compare",
    )


def pytest_configure(config: pytest.Config) -> None:
    exhaustive.ALL = bool(config.getoption("--all"))
    settings.load_profile("exhaustive" if exhaustive.ALL else "daily")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that only ``make test-all`` runs."""
    if config.getoption("--all"):
        return
    left_out = [item for item in items if item.get_closest_marker("exhaustive")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("exhaustive")]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """What serves all workers starts before them."""
    from tests.support import forked_labs, warm

    forked_labs.start_for_all()
    warm.start_for_all()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish() -> None:
    """What serves the whole session ends with it, before it is looked for what was left behind."""
    for name in ("tests.support.forked_labs", "tests.support.warm", "tests.support.slurm"):
        if name in sys.modules:
            sys.modules[name].end()


@pytest.fixture(scope="session")
def sentences(request: pytest.FixtureRequest) -> Sentences:
    """What users read, kept in one file."""
    return Sentences(rewrite=bool(request.config.getoption("--rewrite-golden")))


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
