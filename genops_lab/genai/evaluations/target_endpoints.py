"""Say which endpoints the host of a target reaches, by which address, and which keys go there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec.structs import replace

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.service import DEPLOYMENT
from genops_lab.genai.scorers.programs import EMBEDDINGS

if TYPE_CHECKING:
    from genops_lab.deployments.service import DeploymentsService

    from .evaluation_file import Model

_LOOPBACK = ("localhost", "::1", "0.0.0.0")  # noqa: S104 - compared with


async def seen_from(
    target: str, model: Model, endpoint: Endpoint, deployments: DeploymentsService | None
) -> Endpoint:
    """Return an endpoint with its address on the host of a target. Raises InvalidRequest if the host has none.

    Addresses of the evaluation file are those of the host; addresses of the Lab's list are those of this machine.
    """
    name = model.deployment or (
        model.endpoint.removeprefix(DEPLOYMENT) if model.endpoint.startswith(DEPLOYMENT) else ""
    )
    if name:
        assert deployments is not None
        served = await deployments.get_deployment(name)
        for each in served.addresses:
            if each.kind == "host" and served.target == target:
                return replace(endpoint, url=f"{each.address}/v1")
        raise InvalidRequest(
            f"{target} does not reach the deployment {name!r}, which runs on {served.target}.",
            hint=f"Deploy it on {target}, or evaluate on this machine.",
        )
    if model.endpoint and _is_loopback(endpoint.url):
        raise InvalidRequest(
            f"{target} does not reach the endpoint {model.endpoint!r}: {endpoint.url} is on this machine.",
            hint=f"If its server runs on {target}, give url and model in the evaluation file, as they are there. "
            "Otherwise evaluate on this machine.",
        )
    return endpoint


def keys_sentence(target: str, endpoints: Sequence[Endpoint]) -> str:
    """Say which keys go to the host of a target."""
    names = list(dict.fromkeys(each.name.removeprefix(EMBEDDINGS) for each in endpoints if each.key))
    if not names:
        return f"No key goes to {target}."
    if len(names) == 1:
        return f"The key of {names[0]} goes to {target}."
    return f"The keys of {', '.join(names[:-1])} and {names[-1]} go to {target}."


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or host.startswith("127.") or host.endswith(".localhost")
