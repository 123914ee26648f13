"""Keep a person's endpoints and the tests of all endpoints in one file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from genops_lab.core.errors import Failed
from genops_lab.core.locks import locked
from genops_lab.core.paths import private_dir, write_private

from .models import EndpointTest, ModelEndpoint


class Kept(msgspec.Struct, kw_only=True):
    """The content of the file: both by the endpoint's name."""

    endpoints: dict[str, ModelEndpoint] = {}
    tests: dict[str, EndpointTest] = {}


class EndpointFile:
    """The file of endpoints. All methods block. No key is in the file, only names of secrets."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own = threading.Lock()

    def read(self) -> Kept:
        """Return what is kept. Raises Failed for a file that cannot be read."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept()
        except (OSError, msgspec.DecodeError) as error:
            raise Failed(
                f"The list of endpoints cannot be read: {error}.",
                hint=f"Mend or remove the file {self._path.name} in the data folder of GenOps Lab.",
            ) from error

    @contextlib.contextmanager
    def changed(self) -> Iterator[Kept]:
        """Change what is kept, alone among all threads and processes. Raises Failed for a full disk."""
        try:
            private_dir(self._path.parent)
            with self._own, locked(self._path.with_suffix(".lock")):
                kept = self.read()
                yield kept
                write_private(self._path, msgspec.json.format(msgspec.json.encode(kept), indent=1).decode())
        except OSError as error:
            raise Failed(
                f"The list of endpoints cannot be written: {error.strerror}.", hint="Free some disk space."
            ) from error
