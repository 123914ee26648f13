"""An sshd a module, and each carrier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.sshd import Sshd, ThrowawayUser, throwaway_user


@pytest.fixture(params=["paramiko", "openssh"])
def carrier(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def module_host() -> Iterator[Sshd]:
    with Sshd() as host:
        yield host


@pytest.fixture
def host(module_host: Sshd) -> Sshd:
    """The module's sshd, with its configuration as it was at first."""
    module_host.write_config()
    module_host.known_hosts.write_text(module_host.known_hosts_line())
    return module_host


@pytest.fixture(scope="module")
def user() -> Iterator[ThrowawayUser]:
    with throwaway_user() as found:
        yield found
