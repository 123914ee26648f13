"""Sign versions and verify their signatures, in the MLflow worker process."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.artifacts import local_path
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry import signing
from genops_lab.registry.signing import Signature

from . import beside
from .mlflow_models import MlflowModels

#: The tag of a version with the place of its signature, for people: GenOps Lab finds the place by itself.
TAG = "genops.signature"
#: The tag of a version with the public key (PEM) that its gate file demands of deployments.
KEY_TAG = "genops.signature.key"


class MlflowSignatures(MlflowModels):
    """Signatures of the versions of one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **_others: Any) -> None:
        super().__init__(tracking_uri)
        self._scratch = scratch

    def sign(self, name: str, version: str, key: str, password: str) -> Signature:
        """Sign a version's files, and keep the signature beside them. Replaces an earlier one by the same key."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot sign {name!r} version {number}"):
            location = beside.model_location(self._client, name, number)
            with self._files(name, number, location) as folder:
                content, fingerprint = signing.sign(folder, key, password)
            file = signing.file_name(fingerprint)
            if self._older_by(location) == fingerprint:
                file = signing.SIGNATURE
            place = beside.write(self._client, location, file, content)
            self._client.set_model_version_tag(name, number, TAG, place)
        return Signature(state="valid", who=f"key {fingerprint[:16]}", place=place)

    def verify(self, name: str, version: str, keys: dict[str, str], trusted: list[str]) -> Signature:
        """Verify a version's files with public keys: PEM texts by their names, and the administrator's files."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot verify {name!r} version {number}"):
            location = beside.model_location(self._client, name, number)
            with self._files(name, number, location) as folder:
                return self._verified(location, folder, keys, trusted)

    def verify_copy(
        self, name: str, version: str, folder: str, trusted: list[str], ask: bool
    ) -> Signature | None:
        """Verify the copy of a version's files in ``folder`` before a deployment.

        First with the key that the gate file demands, then with those that the administrator named. None if nobody
        demands a signature, no key is trusted and ``ask`` is false.
        """
        with mlflow_errors(f"Cannot read the signature of {name!r} version {version}"):
            key = self._client.get_model_version(name, version).tags.get(KEY_TAG, "")
            if not (key or trusted or ask):
                return None
            location = beside.model_location(self._client, name, version)
            if key:
                found = self._verified(location, Path(folder), {"key of gates.yaml": key}, [])
                if found.state != "valid" or not trusted:
                    return replace(found, demanded=True)
            return self._verified(location, Path(folder), {}, trusted)

    def _verified(self, location: str, folder: Path, keys: dict[str, str], trusted: list[str]) -> Signature:
        with tempfile.TemporaryDirectory(prefix="genops-signature-", dir=self._scratch) as scratch:
            given = Path(scratch) / "keys"
            given.mkdir()
            for name, text in keys.items():
                (given / name).write_text(text)
            known = [*sorted(given.iterdir()), *map(Path, trusted)]
            copies = []
            for name in signing.signatures_among(beside.names(self._client, location), known):
                content = beside.read(self._client, location, name)
                if content is not None:
                    copies.append(Path(scratch) / name)
                    copies[-1].write_bytes(content)
            found = signing.verify(folder, known, copies)
        return replace(found, place=beside.place_of(location, Path(found.place).name) if found.place else "")

    def _older_by(self, location: str) -> str:
        """Return the fingerprint of the key of a signature by an older GenOps Lab; empty for none."""
        content = beside.read(self._client, location, signing.SIGNATURE)
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            return signing.signed_by(content) if content is not None else ""
        return ""

    @contextlib.contextmanager
    def _files(self, name: str, number: str, location: str) -> Iterator[Path]:
        """Yield the folder of a version's files: in place, or as a copy that is deleted afterwards."""
        folder = local_path(location)
        if folder is not None:
            if not folder.is_dir():
                raise NotFound(
                    f"The files of {name} version {number} do not exist.",
                    hint="Its artifacts were deleted or moved. Register the model again.",
                )
            yield folder
            return
        scratch = Path(tempfile.mkdtemp(prefix="signing-", dir=self._scratch))
        try:
            self.download(name, number, str(scratch / "model"))
            yield scratch / "model"
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
