"""A wall clock that jumps, for processes that a test starts: libfaketime. The monotonic clock stays the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

PLACES = (Path("/usr/lib"), Path("/usr/local/lib"))


class WallClock:
    """The clock of processes with ``variables``. :meth:`jump` sets it so many seconds from the real one."""

    def __init__(self, folder: Path) -> None:
        found = [path for place in PLACES for path in place.glob("**/faketime/libfaketime.so.1")]
        if not found:
            pytest.skip("libfaketime is not installed: apt-get install faketime")
        self._file = folder / "wall-clock"
        self.jump(0)
        self.variables = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, seconds: int) -> None:
        """Set the clock."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        new.replace(self._file)
