"""Keys for signatures of models."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec


class Keys(NamedTuple):
    """The files of a pair of keys."""

    private: Path
    public: Path


def make_keys(folder: Path, name: str = "release", password: str = "") -> Keys:
    """Write a new pair of keys on P-256 as ``NAME.key`` and ``NAME.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret = forms.BestAvailableEncryption(password.encode()) if password else forms.NoEncryption()
    keys = Keys(folder / f"{name}.key", folder / f"{name}.pub")
    keys.private.write_bytes(key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, secret))
    keys.public.write_bytes(
        key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )
    return keys
