"""Keep targets in the store and their kernelspecs in step. Everything here blocks."""

from __future__ import annotations

import logging

from genops_lab.core.errors import GenOpsError
from genops_lab.core.locks import locked
from genops_lab.core.settings import Settings

from .ledger import Ledger
from .models import NewPreset
from .operator_rules import OperatorRules, rules_of, save
from .presets import preset_of
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
        self._rules: OperatorRules | None = None
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

    def _set_presets(self, record: TargetRecord, given: list[NewPreset]) -> None:
        """Make a target's locked presets equal to the administrator's."""
        wanted = [preset_of(record.name, each, locked=True) for each in given]
        for old in self._kernels.presets().get(record.name, []):
            if (old.locked and old not in wanted) or (
                not old.locked and old.kernel_name in {each.kernel_name for each in wanted}
            ):
                self._kernels.remove_preset(record.name, old)
        for preset in wanted:
            self._kernels.add_preset(record, preset)

    def remove(self, record: TargetRecord) -> None:
        """Remove a target and its kernelspec. Raises NotAllowed for the administrator's."""
        # In this order a failure leaves a target that can be removed again, not a kernelspec without a
        # target.
        with locked(self._lock):
            self._kernels.uninstall(record.name)
            self._ledger.remove(record.name)

    def reconcile(self) -> None:
        """Take over the administrator's targets, rules and presets, and install each target's kernelspec."""
        with locked(self._lock):
            if self._settings.targets is not None:
                self._rules = rules_of(self._settings)
                save(self._settings.data_dir, self._rules)
                given = [record_of(each, locked=True) for each in self._settings.targets]
                for name in self._ledger.adopt(given):
                    self._kernels.uninstall(name)
            for record in self._ledger.all():
                try:
                    self._kernels.install(record)
                    if self._rules is not None:
                        self._set_presets(record, self._rules.presets.get(record.name, []))
                except (
                    OSError,
                    GenOpsError,
                ) as error:  # one kernelspec that cannot be installed must not stop the Lab
                    log.warning(
                        "The kernelspec of the target %s could not be installed: %s", record.name, error
                    )
