"""Keep the named keys of a deployment's callers: only their hashes, with limits of requests."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest

from .models import DeploymentCallerKey, NewCallerKey
from .names import is_name
from .record import CallerKey
from .targets.folders import OWN_KEY, hashed

if TYPE_CHECKING:
    from .targets.base import DeploymentTarget

log = logging.getLogger("genops_lab")

MOST_LIMIT = 1_000_000_000


def new_key(name: str, body: NewCallerKey) -> tuple[CallerKey, str]:
    """Return a new key of the deployment ``name`` as it is kept, and the key itself. Raises InvalidRequest."""
    if not is_name(body.name) or body.name == OWN_KEY:
        raise InvalidRequest(
            f"{body.name[:80]!r} is not a valid name of a key.",
            hint="Use up to 63 letters (a-z, A-Z), digits, '.', '_' and '-'; 'default' is the deployment's own.",
        )
    if not 0 <= body.limit <= MOST_LIMIT:
        raise InvalidRequest(f"limit is {body.limit}.", hint="Give requests a minute, or 0 for no limit.")
    if not 0 <= body.tokens <= MOST_LIMIT:
        raise InvalidRequest(f"tokens is {body.tokens}.", hint="Give tokens a minute, or 0 for no limit.")
    key = secrets.token_urlsafe(32)
    kept = CallerKey(
        name=body.name, sha256=hashed(key), limit=body.limit, tokens=body.tokens, created_at=time.time()
    )
    return kept, key


def added(name: str, key: CallerKey) -> Callable[[list[CallerKey]], list[CallerKey]]:
    """Return the change that adds a key; it raises Conflict for a name in use."""

    def change(keys: list[CallerKey]) -> list[CallerKey]:
        if any(each.name == key.name for each in keys):
            raise Conflict(
                f"{name!r} has a key {key.name!r} already.",
                hint=f"Revoke it first: genops deployments revoke-key {name} {key.name}",
            )
        return [*keys, key]

    return change


def revoked(name: str, key: str) -> Callable[[list[CallerKey]], list[CallerKey]]:
    """Return the change that removes a key. Raises Conflict for the deployment's own."""
    if key == OWN_KEY:
        raise Conflict(
            f"The key {key!r} is the own one of {name!r}, which GenOps Lab uses.",
            hint=f"Delete the deployment to end it: genops deployments delete {name}",
        )
    return lambda keys: [each for each in keys if each.name != key]


def shown(key: CallerKey, text: str = "", *, last_used_at: float = 0.0) -> DeploymentCallerKey:
    """Return a key for the wire, with its ``text`` where it is shown the only time."""
    return DeploymentCallerKey(
        name=key.name,
        limit=key.limit,
        tokens=key.tokens,
        created_at=key.created_at,
        last_used_at=last_used_at,
        key=text,
    )


async def uses(name: str, target: DeploymentTarget) -> dict[str, float]:
    """Return when each key was used last, by its name; nothing where the gateway is away or older."""
    try:
        found = await target.ask_gateway({"op": "key_uses", "name": name})
    except GenOpsError as error:
        log.debug("The last use of the keys of %s is unknown: %s", name, error)
        return {}
    now = time.time()
    return {key: now - ago_s for key, ago_s in found.get("ago_s", {}).items()}
