"""What targets need of the kernels that run on them; the kernels' own package, which stands above, implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from .ledger import OwnKernel
from .models import EndedKernel, PendingKernel, TakenKernel
from .records import TargetRecord


class KernelState(msgspec.Struct, frozen=True, kw_only=True):
    """What a target's row says of its kernels: how many stand ready (None: none are wanted) and why there are fewer,
    those that other Labs have taken, those that have ended, and those that wait for their hosts."""

    warm_ready: int | None = None
    warm_message: str = ""
    taken: list[TakenKernel] = []
    ended: list[EndedKernel] = []
    pending: list[PendingKernel] = []


class TargetKernels(ABC):
    """The kernels of all targets. Used in the application's event loop."""

    @abstractmethod
    def install(self, record: TargetRecord) -> None:
        """Make a target's kernelspec, or put it right. Blocks; raises OSError, GenOpsError."""

    @abstractmethod
    def uninstall(self, name: str) -> None:
        """Remove a target's kernelspec; harmless without one. Blocks."""

    @abstractmethod
    def state(self, name: str) -> KernelState:
        """Return what is known of a target's kernels now; asks nobody."""

    @abstractmethod
    async def own(self, record: TargetRecord) -> list[OwnKernel]:
        """Return the kernels of this user's Labs that run on a target, as far as can be known now."""

    @abstractmethod
    def policy_changed(self, name: str) -> None:
        """Follow a target's new policy from now on."""
