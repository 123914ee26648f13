"""Jupyter's own suite for kernels, against a kernel of this machine that the agent owns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genops_lab.kernels.remote_kernels import RemoteKernels
from tests.kernels import test_conformance
from tests.kernels.test_local_agent import keeping
from tests.support.homes import temporary_home

#: unittest's classes have no fixtures
REMOTES: list[RemoteKernels] = []


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
