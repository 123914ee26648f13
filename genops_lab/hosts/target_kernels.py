"""The interface between targets and their kernels; the kernels' own package, which is above, implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from .ledger import OwnKernel
from .models import EndedKernel, PendingKernel, Preset, SavedHours, TakenKernel
from .records import TargetRecord


class KernelState(msgspec.Struct, frozen=True, kw_only=True):
    """The kernels of a target.

    ``saved``: the hours that ends of idle kernels saved this month. How many are ready (None: none are wanted) and
    why there are fewer, the kernels taken by other Labs, those that ended, and those that wait for their hosts.
    """

    warm_ready: int | None = None
    warm_message: str = ""
    #: the hosts that wait for a kernel
    warm_hosts: set[str] = set()
    taken: list[TakenKernel] = []
    ended: list[EndedKernel] = []
    pending: list[PendingKernel] = []
    saved: SavedHours | None = None


class TargetKernels(ABC):
    """The kernels of all targets. Used in the application's event loop."""

    @abstractmethod
    def install(self, record: TargetRecord) -> None:
        """Write or correct a target's kernelspec. Blocks; raises OSError, GenOpsError."""

    @abstractmethod
    def uninstall(self, name: str) -> None:
        """Remove a target's kernelspec; harmless without one. Blocks."""

    @abstractmethod
    def presets(self) -> dict[str, list[Preset]]:
        """Return the presets of all targets, by target. Blocks."""

    @abstractmethod
    def add_preset(self, record: TargetRecord, preset: Preset) -> None:
        """Write or replace a preset's kernelspec. Blocks; raises OSError, Conflict."""

    @abstractmethod
    def remove_preset(self, name: str, preset: Preset) -> None:
        """Remove a preset's kernelspec; harmless without one. Blocks."""

    @abstractmethod
    def state(self, name: str) -> KernelState:
        """Return the known state of a target's kernels, without asking a host."""

    @abstractmethod
    async def saved(self) -> list[SavedHours]:
        """Return what ends of idle kernels saved, by month and target, the last month first."""

    @abstractmethod
    async def own(self, record: TargetRecord) -> list[OwnKernel]:
        """Return the kernels of this user's Labs that run on a target, as far as known."""

    @abstractmethod
    def policy_changed(self, name: str) -> None:
        """Apply a target's new policy from now on."""

    @abstractmethod
    async def disconnected(self, name: str) -> None:
        """Release the hosts that wait for a kernel: a person disconnects or removes the target."""
