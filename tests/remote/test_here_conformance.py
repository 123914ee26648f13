"""Jupyter's own suite for kernels, against a kernel of this machine that the agent owns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_lab.remote.kernels import Remote
from tests.remote import test_conformance
from tests.remote.test_here import keeping
from tests.support.homes import temporary_home

#: unittest's classes have no fixtures
REMOTES: list[Remote] = []


@pytest.fixture(scope="module", autouse=True)
def _kept() -> Iterator[None]:
    with temporary_home() as home, keeping(home) as remote:
        REMOTES.append(remote)
        yield


class TestHere(test_conformance.TestOverSsh):
    kernel_name = "python3"

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        assert list(REMOTES[-1].bridges) == [cls.km.kernel_id], "it is not the agent's"
