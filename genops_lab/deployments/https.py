"""Say at which name and port other machines reach the deployments of this one, by TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import InvalidRequest

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings


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
