"""Say at which name and port other machines reach deployments by TLS: those of this machine, and those of a host."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import InvalidRequest

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings

    from .description.document import Description

MOST_PEM = 200_000


class Https(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The port for other machines of a deployment on a host: its ``address`` (name and port), and PEM files.

    They are paths on the host or, if ``carried``, files of this machine; then ``digest`` is that of the certificate.
    """

    address: str
    certificate: str
    key: str
    carried: bool = False
    digest: str = ""

    @property
    def text(self) -> str:
        """The port in words."""
        files = f"{self.certificate} and {self.key}"
        where = f"of this machine (sha256 {self.digest[:12]})" if self.carried else "of the host"
        return f"{self.address} with {files} {where}"

    @property
    def described(self) -> dict[str, Any]:
        """The keys of a deployment file."""
        names = ("address", "certificate", "key", "carried")
        return {name: getattr(self, name) for name in names}


def https_in(description: Description, folder: str) -> Https | None:
    """Return the port that a file asks for; a relative path of this machine begins at ``folder``. Blocks.

    Raises InvalidRequest for a file that cannot be read, and for a port of this machine.
    """
    asked = description.https
    if asked is None:
        return None
    if description.on == "this machine":
        raise InvalidRequest(
            "The key 'https' is one of deployments on a target.",
            hint="On this machine an administrator sets GenOpsLab.deployment_https. Name a target in the key 'on'.",
        )
    found = Https(**msgspec.structs.asdict(asked))
    if not asked.carried:
        return found
    certificate, key = (str(Path(folder, path)) for path in (asked.certificate, asked.key))
    digest = hashlib.sha256(_pem(certificate).encode()).hexdigest()
    _pem(key)
    return msgspec.structs.replace(found, certificate=certificate, key=key, digest=digest)


def for_host(https: Https) -> dict[str, Any]:
    """Return the port for the agent of a host; with files that are carried, if they are still there. Blocks."""
    host, _, port = https.address.rpartition(":")
    settings = {"host": host, "port": int(port), "certificate": https.certificate, "key": https.key}
    settings["asked"] = msgspec.to_builtins(https)
    if https.carried:
        with contextlib.suppress(InvalidRequest):  # the host has those of before
            settings["files"] = {"certificate": _pem(https.certificate), "key": _pem(https.key)}
    return settings


def _pem(path: str) -> str:
    try:
        found = Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"The file {path} of 'https' cannot be read: {getattr(error, 'strerror', None) or 'it is no PEM file'}.",
            hint="Give a PEM file of this machine, or leave out 'carried' for a path on the host.",
        ) from None
    if len(found) > MOST_PEM:
        raise InvalidRequest(
            f"The file {path} of 'https' has over {MOST_PEM:,} bytes.", hint="Give a PEM file."
        )
    return found


def tls_of(settings: Settings) -> dict[str, Any] | None:
    """Return what the gateway needs to answer other machines; None if it does not. Raises InvalidRequest."""
    if not settings.deployment_https:
        return None
    host, _, port = settings.deployment_https.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidRequest(
            f"GenOpsLab.deployment_https is {settings.deployment_https!r}, which has no name and port.",
            hint="Write it as gpu.example.org:8443",
        )
    for name in ("deployment_certificate", "deployment_certificate_key"):
        if not getattr(settings, name):
            raise InvalidRequest(
                f"GenOpsLab.deployment_https needs GenOpsLab.{name}.", hint="Give the path of the PEM file."
            )
    return {
        "host": host,
        "port": int(port),
        "certificate": settings.deployment_certificate,
        "key": settings.deployment_certificate_key,
    }
