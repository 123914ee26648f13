"""A home that this process lives in, and one whose ssh_config leads to a real sshd."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.homes import Home
from tests.support.sshd import Sshd


@pytest.fixture
def at_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """This process lives in the test's home."""
    for name, value in home.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    home.data.mkdir(parents=True, mode=0o700)
    (home.path / ".ssh").mkdir(mode=0o700)
    return home


@pytest.fixture
def host(at_home: Home) -> Iterator[Sshd]:
    """A real sshd that the home's ~/.ssh/config names."""
    with Sshd() as found:
        (at_home.path / ".ssh" / "config").write_text(f"Include {found.config}\n")
        yield found
