"""The names that copies of folders get on hosts."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

import pytest

from genops_lab.kernels.folders.last_sync import LastSyncs


def test_first_starts_at_the_same_time_agree_on_the_name_of_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, others = secrets.token_hex, []

    def interrupted(size: int) -> str:
        """Let another process of the user be between this one's look and its write."""
        monkeypatch.setattr(secrets, "token_hex", made)
        others.append(LastSyncs(tmp_path).get("gpu1", "/home/ada/project").there)
        return made(size)

    monkeypatch.setattr(secrets, "token_hex", interrupted)
    mine = LastSyncs(tmp_path).get("gpu1", "/home/ada/project").there
    later = LastSyncs(tmp_path).get("gpu1", "/home/ada/project").there
    assert [mine, later] == others * 2 and mine.startswith("~/genops/project-")


def test_the_name_stays_on_a_file_system_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:  # a mock: no such file system can be mounted in a test
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    first, second = (LastSyncs(tmp_path).get("gpu1", "/home/ada/project").there for _ in range(2))
    assert first == second
    assert {path.name for path in (tmp_path / "folders").iterdir()} == {"installation"}
