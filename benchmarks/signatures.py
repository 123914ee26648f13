"""Verification of the signature of a model of 100 MB, in CPU seconds of a process that has imported the library."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from genops_lab.registry import signing

from .figure import Figure

SIZE = 100_000_000
TARGET_CPU_S = 2.0


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as scratch:
        yield from _figures(Path(scratch))


def _figures(scratch: Path) -> Iterator[Figure]:
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = scratch / "release.key", scratch / "release.pub"
    private.write_bytes(
        key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )
    model = scratch / "model"
    model.mkdir()
    for part in range(10):
        (model / f"model-{part}.safetensors").write_bytes(os.urandom(SIZE // 10))
    before = time.process_time()
    content, fingerprint = signing.sign(model, str(private))
    first = time.process_time() - before
    place = signing.beside(model)
    place.mkdir()
    (place / signing.file_name(fingerprint)).write_bytes(content)
    values = []
    for _ in range(5):
        before = time.process_time()
        found = signing.verify(model, public)
        values.append(time.process_time() - before)
        assert found.state == "valid", found
    yield Figure(
        name="signature verified, 100 MB in 10 files",
        unit="CPU s",
        values=values,
        target=TARGET_CPU_S,
        notes={"sign_with_import_cpu_s": round(first, 3)},
    )
