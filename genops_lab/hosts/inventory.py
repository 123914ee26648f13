"""Keep targets in the store and their kernelspecs in step. Everything here blocks."""

from __future__ import annotations

import logging

from genops_lab.core.errors import GenOpsError
from genops_lab.core.locks import locked
from genops_lab.core.settings import Settings

from .ledger import Ledger
from .records import TargetRecord, record_of
from .target_kernels import TargetKernels

log = logging.getLogger("genops_lab")


class Inventory:
    """Adds and removes a target and its kernelspec together, and reconciles both at the start."""

    def __init__(self, ledger: Ledger, kernels: TargetKernels, settings: Settings) -> None:
        self._ledger = ledger
        self._kernels = kernels
        self._settings = settings
        # Two Labs, or two clicks, may write the same kernelspecs.
        self._lock = settings.data_dir / "kernelspecs.lock"

    def add(self, record: TargetRecord) -> tuple[TargetRecord, bool]:
        """Add a target and its kernelspec, or neither; return the existing target and False where there is
        one. Raises Conflict."""
        with locked(self._lock):
            found, added = self._ledger.add(record)
            try:
                self._kernels.install(found)
            except BaseException:
                if added:
                    self._ledger.remove(record.name)
                raise
        return found, added

    def remove(self, record: TargetRecord) -> None:
        """Remove a target and its kernelspec. Raises NotAllowed for the administrator's."""
        # In this order a failure leaves a target that can be removed again, not a kernelspec without a
        # target.
        with locked(self._lock):
            self._kernels.uninstall(record.name)
            self._ledger.remove(record.name)

    def reconcile(self) -> None:
        """Take over the administrator's targets, and install each target's kernelspec."""
        with locked(self._lock):
            if self._settings.targets is not None:
                given = [record_of(each, locked=True) for each in self._settings.targets]
                for name in self._ledger.adopt(given):
                    self._kernels.uninstall(name)
            for record in self._ledger.all():
                try:
                    self._kernels.install(record)
                except (
                    OSError,
                    GenOpsError,
                ) as error:  # one kernelspec that cannot be installed must not stop the Lab
                    log.warning(
                        "The kernelspec of the target %s could not be installed: %s", record.name, error
                    )
