"""A certificate authority of a test, which signs certificates for this machine."""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


class Authority:
    """A certificate authority that signs certificates for localhost, and by :meth:`issue` also for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.folder = folder
        self.file = folder / "ca.pem"
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ours")])
        built = self._certificate(self.name, self.key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.file.write_bytes(_pem(built.sign(self.key, hashes.SHA256())))

    def _certificate(
        self, subject: x509.Name, key: Any, until: float | None = None
    ) -> x509.CertificateBuilder:
        end = (
            NOW + datetime.timedelta(days=36500)
            if until is None
            else datetime.datetime.fromtimestamp(until, datetime.timezone.utc)
        )
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(NOW)
            .not_valid_after(end)
        )  # fmt: skip

    def issue(self, name: str, days: float = 1.0) -> tuple[Path, Path]:
        """Return the files of a new certificate of ``name`` and of its key. It ends in so many days."""
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        self.signed(*files, time.time() + days * 86400, name, loopback)
        return files

    def signed(
        self,
        certificate: Path,
        key: Path,
        until: float | None = None,
        name: str = "localhost",
        *addresses: x509.GeneralName,
    ) -> int:
        """Write a new certificate and its key; it ends at the time ``until``. Return its serial number."""
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = self._certificate(subject, own.public_key(), until).add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), *addresses]), critical=False
        )
        found = built.sign(self.key, hashes.SHA256())
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        key.write_bytes(own.private_bytes(serialization.Encoding.PEM, form, plain))
        certificate.write_bytes(_pem(found))
        return int(found.serial_number)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
