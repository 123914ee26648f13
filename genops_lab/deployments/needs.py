"""Say before a start what it needs, what its machine has free, and what would do instead, in numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genops_lab.core.errors import Conflict
from genops_lab.core.formatting import size_of
from genops_lab.serving.engines.memory import GpuNeed, Need
from genops_lab.serving.engines.settings import LLAMA, SGLANG, VLLM

from .models import DeployCheck, UpdatePlan
from .targets.base import Machine

#: Memory of a scoring process without its model, as one with scikit-learn has it.
PROCESS_BYTES = 300 * 2**20


@dataclass(frozen=True, kw_only=True)
class Demanded:
    """The memory of one process in bytes and the GPUs that a file demands (0: not said), and the replicas."""

    memory_bytes: int = 0
    gpus: int = 0
    replicas: int = 1


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The memory and GPUs of one start on a ``machine``. Each GPU holds ``gpu_bytes`` of the model.

    ``loading_s`` is how long the model loaded the last time; 0: not known. A machine that shows no GPUs is not held
    against a start, unless ``demanded``: a container may hide them.
    """

    machine: Machine
    memory_bytes: int
    gpus: int = 0
    gpu_bytes: int = 0
    demanded: bool = False
    loading_s: float = 0.0
    #: How many processes share the memory that is needed.
    replicas: int = 1

    @property
    def free_gpus(self) -> int:
        """The GPUs of the machine that can hold their part of the model."""
        return sum(free >= self.gpu_bytes for free in self.machine.gpus)

    @property
    def fits(self) -> bool:
        """Whether the machine has it free, as far as is known."""
        known = self.machine.free_bytes > 0
        counted = self.demanded or bool(self.machine.gpus)
        return not (known and self.memory_bytes > self.machine.free_bytes) and not (
            counted and self.gpus > self.free_gpus
        )

    @property
    def loads_in(self) -> str:
        """The time of the last load as text; empty if it is not known."""
        return f"about {self.loading_s:.0f} s" if self.loading_s >= 1 else ""

    def amounts(self) -> str:
        """Return the needs and what is free, as the end of a sentence."""
        free = size_of(self.machine.free_bytes) if self.machine.free_bytes else "an unknown amount"
        memory = f"about {size_of(self.memory_bytes)} of memory"
        if self.replicas > 1:
            memory += f" for {self.replicas} replicas"
        if not self.gpus:
            return f"{memory}; {self.machine.name} has {free} free"
        each = f" with {size_of(self.gpu_bytes)} free each" if self.gpu_bytes else ""
        return (
            f"{memory} and {_gpus(self.gpus)}{each}; "
            f"{self.machine.name} has {free} and {_gpus(self.free_gpus)} free"
        )

    def first_start(self) -> str:
        """Return the sentence of a start with nothing beside it."""
        loads = f" The model loaded in {self.loads_in} the last time." if self.loads_in else ""
        return f"It needs {self.amounts()}.{loads}"

    def update(self, name: str, number: int, serving: int) -> UpdatePlan:
        """Return the plan of an update: revision ``number`` starts beside ``serving``, or it does not fit there."""
        time = f" ({self.loads_in} the last time)" if self.loads_in else ""
        replaced = f"with {self.loads_in} of downtime" if self.loads_in else "with a downtime"
        downtime = f"Nobody is answered from the stop of revision {serving} until revision {number} has loaded{time}."
        message = (
            f"Revision {number} starts beside revision {serving}, which answers until the new one does{time}. "
            f"It needs {self.amounts()}."
            if self.fits
            else f"Revision {number} needs {self.amounts()}: replace revision {serving} first {replaced}, "
            "or use a smaller model or another target."
        )
        return UpdatePlan(
            name=name,
            number=number,
            serving=serving,
            fits=self.fits,
            needs_bytes=self.memory_bytes,
            free_bytes=self.machine.free_bytes,
            needs_gpus=self.gpus,
            free_gpus=self.free_gpus,
            message=message,
            downtime=downtime,
        )


def needs_of(
    machine: Machine,
    check: DeployCheck,
    serving: Mapping[str, Any] | None,
    need: Need | GpuNeed | None,
    said: Demanded,
    loading_s: float,
    processes: int = 1,
) -> Needs:
    """Return what a version needs on a machine: what its file demands, else what its files and its engine take.

    Each of the scorer's ``processes`` has the files in its memory.
    """
    files = sum(each.size_bytes for each in check.files)
    engine_gpus = _engine_gpus(serving)
    part = 0
    if isinstance(need, GpuNeed):
        part = math.ceil(need.total / need.count / need.share)
        taken = PROCESS_BYTES
    elif need is not None:
        taken = need.total
    else:
        taken = (PROCESS_BYTES + (0 if engine_gpus else files)) * processes
    return Needs(
        machine=machine,
        memory_bytes=(said.memory_bytes or taken) * said.replicas,
        gpus=said.gpus or engine_gpus,
        gpu_bytes=part,
        demanded=bool(said.gpus),
        loading_s=loading_s,
        replicas=said.replicas,
    )


def refuse_too_many(name: str, needs: Needs, need: Need | GpuNeed | None) -> None:
    """Raise Conflict if the replicas of a first revision do not fit. Engines share the GPUs of a machine."""
    share = need.share if isinstance(need, GpuNeed) else 0.0
    if share * needs.replicas > 1:
        raise Conflict(
            f"{needs.replicas} replicas of {name!r} share the GPUs, and each takes {share:.0%} of their memory.",
            hint=f"Let each take less: --set gpu_memory={100 // needs.replicas / 100:g}",
            code="memory",
        )
    if needs.replicas > 1 and not needs.fits:
        raise Conflict(
            f"{name!r} needs {needs.amounts()}.",
            hint="Give fewer replicas, such as --replicas 1, or free some memory.",
            code="memory",
        )


def _engine_gpus(serving: Mapping[str, Any] | None) -> int:
    """Return the GPUs that an engine takes by its settings."""
    settings = (serving or {}).get("settings", {})
    engine = (serving or {}).get("engine")
    if engine in (VLLM, SGLANG):
        return int(settings.get("tensor_parallel", 1))
    return int(engine == LLAMA and bool(settings.get("gpu_layers")))


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"
