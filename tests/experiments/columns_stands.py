"""A store, a client of it and a mirror of it, for the tests of the columns."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from genops_lab.experiments.columns.backend import ways_to
from genops_lab.experiments.columns.mirror import Mirror, Shown
from genops_lab.experiments.columns.source import Source
from tests.support.run_changes import Changer, as_mirrored, as_mlflow_says

LONG_S = 60.0


class Stand:
    """``opens`` makes the mirror's source; without it that of the address."""

    def __init__(self, uri: str, kept: Path, opens: Callable[[], Source] | None = None) -> None:
        from mlflow import MlflowClient

        self.uri = uri
        self.kept = kept
        self.client = MlflowClient(uri)
        self.changer = Changer(self.client)
        self._opens = opens
        self.mirror = self.another()

    def another(self) -> Mirror:
        """One more mirror of the same store, as after a new start."""
        return Mirror([self._opens] if self._opens else ways_to(self.uri), self.kept)

    def seen(self) -> Shown:
        """What the mirror shows once it has seen all that was changed before."""
        begun = time.time()
        shown = self.mirror.now(LONG_S)
        deadline = time.monotonic() + LONG_S
        while not shown.complete or (shown.as_of or 0.0) < begun:
            assert time.monotonic() < deadline, "it did not catch up"
            shown = self.mirror.wait(shown.version, 0.02)
        return shown

    def same(self) -> None:
        """The mirror says what MLflow says."""
        assert as_mirrored(self.seen()) == as_mlflow_says(self.client)

    def close(self) -> None:
        """End the mirror and the client."""
        self.mirror.close()
        store: Any = self.client._tracking_client.store
        if hasattr(store, "engine"):
            store.engine.dispose()


def sqlite_stand(folder: Path, empty: Path, **more: Any) -> Stand:
    """A stand on a copy of an empty SQLite store."""
    file = folder / f"{uuid.uuid4().hex}.db"
    shutil.copy(empty, file)
    return Stand(f"sqlite:///{file}", folder / "kept", **more)


def make_changes(stand: Stand, changes: list[Any]) -> None:
    """Make ``changes``, looking after some of them, and at the end."""
    for (what, which, how), look in changes:
        stand.changer.change(what, which, how)
        if look:
            stand.same()
    stand.same()
