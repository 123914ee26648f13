"""Keep secrets of deployments by name: a file each, which only this user can read."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.core.paths import private_dir, write_private
from genops_lab.core.services import Service

MAX_BYTES = 64_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")


class Secrets:
    """The secrets in a folder. All methods block. A value is in no answer, event or log.

    >>> import tempfile
    >>> secrets = Secrets(Path(tempfile.mkdtemp()) / "secrets")
    >>> secrets.set("HF_TOKEN", "hf_1")
    >>> secrets.names(), secrets.values(["HF_TOKEN"])
    (['HF_TOKEN'], {'HF_TOKEN': 'hf_1'})
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Return the names of all secrets."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(each.name for each in self._folder.iterdir() if _NAME.fullmatch(each.name))
        return []

    def set(self, name: str, value: str) -> None:
        """Keep a value under a name, in place of an earlier one. Raises InvalidRequest, and Failed for a full disk."""
        path = self._path(name)
        if not value or "\0" in value or len(value.encode()) > MAX_BYTES:
            raise InvalidRequest(
                f"The value of the secret {name} is empty, has a zero byte or is over {MAX_BYTES:,} bytes.",
                hint="Give a token or a password.",
            )
        try:
            private_dir(self._folder)
            write_private(path, value)
        except OSError as error:
            raise Failed(
                f"The secret {name} cannot be written: {error.strerror}.", hint="Free some disk space."
            ) from error

    def delete(self, name: str) -> None:
        """Delete a secret, if it is there."""
        self._path(name).unlink(missing_ok=True)

    def values(self, names: Iterable[str]) -> dict[str, str]:
        """Return the values of secrets. Raises NotFound for the first that is not there."""
        found = {}
        for name in names:
            try:
                found[name] = self._path(name).read_text(encoding="utf-8")
            except FileNotFoundError:
                raise missing(name) from None
        return found

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name[:80]!r} is not a name of a secret.",
                hint="Use letters (a-z, A-Z), digits and '_', such as HF_TOKEN.",
            )
        return self._folder / name


def missing(name: str) -> NotFound:
    """Return the error for a secret that is not there."""
    return NotFound(f"There is no secret {name}.", hint=f"Set it: genops secrets set {name}")


class SecretName(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is kept. Nothing returns its value."""

    name: str


class SecretValue(msgspec.Struct, frozen=True, kw_only=True):
    """The value of a secret."""

    value: str


class SecretsService(Service):
    """The operations of secrets: values go in, and come out only in the processes of deployments."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    async def list_secrets(self) -> list[SecretName]:
        """List the names of secrets."""
        return [SecretName(name=each) for each in await asyncio.to_thread(self._secrets.names)]

    async def set_secret(self, name: str, body: SecretValue) -> SecretName:
        """Keep a value under a name, in place of an earlier one. Processes get it at their next start."""
        await asyncio.to_thread(self._secrets.set, name, body.value)
        return SecretName(name=name)

    async def delete_secret(self, name: str) -> None:
        """Delete a secret; idempotent. Processes that run keep their copy."""
        await asyncio.to_thread(self._secrets.delete, name)
