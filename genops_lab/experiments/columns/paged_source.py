"""Share what sources have in common that read MLflow's API page by page, again and again."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from genops_lab.experiments.backends.client import open_client

from .changes import Changes
from .source import SourceKind


class PagedSource:
    """A source whose store neither counts nor reports changes: each poll reads the next page of all rows again."""

    kind: SourceKind = "api"
    again_s = 0.0
    settled = True
    #: Names the rows in :meth:`identity`.
    _rows: ClassVar[str]
    #: MLflow's largest page.
    _largest: ClassVar[int]

    def __init__(self, tracking_uri: str, every_s: float) -> None:
        self._uri = tracking_uri
        self._client: Any = open_client(tracking_uri)
        self.every_s = every_s
        self.swept_since: float | None = None
        #: The running sweep: its start, and the token of its next page.
        self._since, self._token = time.time(), ""

    @abstractmethod
    def _page(self, count: int, token: str) -> tuple[list[Any], str]:
        """Return rows, newest first, and the token of the next page, empty at the end."""

    @abstractmethod
    def _changes(self, found: list[Any]) -> Changes:
        """Return rows in a mirror's form."""

    def identity(self) -> str:
        """Return the address: another store behind it has other rows, which are read then."""
        return json.dumps([self._rows, self._uri])

    def total(self) -> int | None:
        """Return None: MLflow does not count."""
        return None

    def newest(self, count: int) -> Changes:
        """Return the newest rows."""
        return self._changes(self._page(min(count, self._largest), "")[0])

    def some(self, asked: object) -> None:
        """Return None: all rows are read."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all rows, page by page."""
        begun, token = time.time(), ""
        while True:
            found, token = self._page(self._largest, token)
            yield self._changes(found)
            if not token:
                break
        self.swept_since = begun

    def resume(self, mark: str) -> bool:
        """Return False: changes while nobody looked are unknown."""
        return False

    def mark(self) -> str:
        """Return an empty mark."""
        return ""

    def lacks_statistics(self) -> bool:
        """Return False: MLflow's own searches are not used for questions."""
        return False

    def close(self) -> None:
        """Do nothing: other backends of the process use the client."""

    def _swept(self, count: int) -> list[Any]:
        """Return the next page of the sweep; with the last one the sweep is over."""
        found, self._token = self._page(count, self._token)
        if not self._token:
            self.swept_since, self._since = self._since, time.time()
        return found
