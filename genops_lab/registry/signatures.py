"""Sign model versions, and verify their signatures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.settings import Settings

from .backends.signatures import MlflowSignatures
from .service import check_name
from .signing import PKCS11, Signature

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

_KEY_NAME = re.compile(r"(?!\.)[\w .@+-]{1,100}")


class SignVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Sign a version. ``key``: the absolute path of a private key in PEM format, or a PKCS#11 URI."""

    key: str
    password: str = ""

    def __repr__(self) -> str:
        return "SignVersion(...)"  # a URI has the PIN


class VerifyVersion(msgspec.Struct, frozen=True, kw_only=True):
    """Verify a version. ``keys``: public keys in PEM format by their names, beside those of the administrator."""

    keys: dict[str, str] = {}


class SignaturesService:
    """The operations of signatures."""

    def __init__(self, settings: Settings, mlflow: MlflowConnection, events: EventBus) -> None:
        self._trusted = list(settings.trusted_keys)
        self._mlflow = mlflow
        self._events = events

    async def sign_version(self, name: str, version: str, body: SignVersion) -> Signature:
        """Sign the files of a version, and keep the signature beside those of other keys."""
        check_name(name)
        if not body.key.startswith(PKCS11) and not Path(body.key).is_absolute():
            raise InvalidRequest(
                "The path of the private key is not absolute.", hint="Give the whole path of the key's file."
            )
        found = await self._mlflow.call_long(MlflowSignatures.sign, name, version, body.key, body.password)
        self._events.emit("model", name)
        return found

    async def verify_version(self, name: str, version: str, body: VerifyVersion) -> Signature:
        """Compare the files of a version with its signatures. Nothing is loaded."""
        check_name(name)
        for each in body.keys:
            if not _KEY_NAME.fullmatch(each):
                raise InvalidRequest(
                    f"{each[:60]!r} is not the name of a key.",
                    hint="Use letters, digits, blanks and . _ @ + -, at most 100.",
                )
        return await self._mlflow.call_long(MlflowSignatures.verify, name, version, body.keys, self._trusted)
