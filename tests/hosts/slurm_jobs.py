"""Request jobs of a real Slurm and wait for their states."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Observed, Resources
from genops_lab.hosts.providers.slurm.provider import PROVIDER


async def released(target: Route) -> None:
    for host in await PROVIDER.list_hosts(target):
        await PROVIDER.release(target.at(host))


def with_config(target: Route, **changed: Any) -> Route:
    return msgspec.structs.replace(target, config=msgspec.structs.replace(target.config, **changed))


async def seen(host: Route, wanted: type[Observed]) -> Any:
    while not isinstance(observed := await PROVIDER.observe(host), wanted):
        await asyncio.sleep(0.1)
    return observed


async def asked(target: Route, name: str, **resources: Any) -> Route:
    return target.at(await PROVIDER.allocate(target, name, Resources(**resources)))
