"""Write what a file says beside its version into the record of a deployment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from genops_lab.deployments import caller_keys
from genops_lab.deployments.models import DeploymentCallerKey, NewCallerKey
from genops_lab.deployments.record import CallerKey, Described, Record

from .shape import Limits, Shape


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """The settings of a file. ``check`` raises Conflict if the record is not the one that was planned for."""

    shape: Shape
    described: Described
    check: Callable[[Record | None], None]
    #: New keys that a record got, by name.
    texts: dict[str, str] = field(default_factory=dict)

    def on(self, record: Record) -> Record:
        """Return the record with the settings. Keys keep their hash, new ones are made, others go."""
        shape, keys = self.shape, record.wanted.keys
        if shape.callers is not None:
            known = {each.name: each for each in keys}
            keys = [
                replace(known[name], limit=limits.requests, tokens=limits.tokens)
                if name in known
                else self._new(record.name, name, limits)
                for name, limits in shape.callers.items()
            ]
        if record.wanted.lease_s != shape.lease_s:
            record = replace(record, lease_until=time.time() + shape.lease_s)
        return record.with_wanted(
            keys=keys,
            lease_s=shape.lease_s,
            warm_s=shape.warm_s,
            memory_bytes=shape.memory_bytes,
            gpus=shape.gpus,
            scale=shape.scale,
            https=shape.https,
            traces=shape.traces,
            scored=shape.scored,
            described=self.described,
        )

    def _new(self, deployment: str, name: str, limits: Limits) -> CallerKey:
        asked = NewCallerKey(name=name, limit=limits.requests, tokens=limits.tokens)
        kept, text = caller_keys.new_key(deployment, asked)
        self.texts[name] = text
        return kept

    def new_keys(self, record: Record) -> list[DeploymentCallerKey]:
        """Return the keys that were made, with their texts."""
        made = [each for each in record.wanted.keys if each.name in self.texts]
        return [caller_keys.shown(each, self.texts[each.name]) for each in made]
