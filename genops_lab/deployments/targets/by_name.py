"""Lead each deployment to the target that its record names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from genops_lab.core.errors import NotFound

from .base import (
    Capabilities,
    Changes,
    Check,
    DeploymentSpec,
    DeploymentTarget,
    Machine,
    Observed,
    Progress,
    deployment_of,
)

#: Returns the name of a deployment's target; empty for an unknown deployment. Blocks.
TargetOf = Callable[[str], str]


class TargetsByName(DeploymentTarget):
    """All targets as one. A deployment that no record names is on this machine."""

    def __init__(
        self, local: DeploymentTarget, target_of: TargetOf, make: Callable[[str], DeploymentTarget] | None
    ) -> None:
        self.name = local.name
        self._local = local
        self._target_of = target_of
        self._make = make
        self._made: dict[str, DeploymentTarget] = {}

    def on(self, target: str) -> DeploymentTarget:
        """Return the target of this name; empty: this machine."""
        if target in ("", self._local.name):
            return self._local
        if self._make is None:
            raise NotFound(
                f"There are no targets, so none is called {target!r}.", hint="Deploy on this machine."
            )
        if target not in self._made:
            self._made[target] = self._make(target)
        return self._made[target]

    async def of(self, name: str) -> DeploymentTarget:
        """Return the target of a deployment."""
        return self.on(await asyncio.to_thread(self._target_of, name))

    def capabilities(self) -> Capabilities:
        return self._local.capabilities()

    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        return self._local.plan(spec, observed)

    async def reach(self, name: str) -> None:
        await (await self.of(name)).reach(name)

    async def apply(
        self, spec: DeploymentSpec, generation: int, progress: Progress, *, check: Check | None = None
    ) -> None:
        await (await self.of(spec.name)).apply(spec, generation, progress, check=check)

    async def observe(self, name: str) -> Observed:
        return await (await self.of(name)).observe(name)

    async def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        async for found in (await self.of(name)).logs(name, revision, lines=lines, follow=follow):
            yield found

    async def delete(self, name: str) -> None:
        await (await self.of(name)).delete(name)

    async def ask_gateway(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        return await (await self.of(deployment_of(asked))).ask_gateway(asked)

    async def key(self, name: str) -> str:
        return await (await self.of(name)).key(name)

    async def keep(self) -> None:
        await self._local.keep()

    async def machine(self, name: str) -> Machine:
        return await (await self.of(name)).machine(name)

    async def close(self) -> None:
        for each in self._made.values():
            await each.close()
