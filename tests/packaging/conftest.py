"""Homes whose kernels start as a user's do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.homes import Home, temporary_home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home of this test's own."""
    with temporary_home(debugger=True) as found:
        yield found


@pytest.fixture(scope="module")
def module_home() -> Iterator[Home]:
    """A home that the tests of a module share."""
    with temporary_home(debugger=True) as found:
        yield found
