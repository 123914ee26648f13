"""Register the operations for kernels on other hosts as a feature of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.features import Features
    from genops_lab.core.settings import Settings
    from genops_lab.hosts.ledger import Ledger
    from genops_lab.kernels.remote_kernels import RemoteKernels

    from .service import RemoteTracking
    from .uploads import IncomingFiles

    def tracking(get: Get) -> RemoteTracking:
        ledger = get(Ledger)

        def known(target: str) -> set[str]:
            return {kernel.kernel_id for kernel in ledger.own_kernels(target)}

        return RemoteTracking(get(RemoteKernels), get(Features).operations("kernel"), services, known)

    services.provide(IncomingFiles, lambda get: IncomingFiles(get(Settings).data_dir / "incoming"))
    services.provide(RemoteTracking, tracking)


FEATURE = Feature(name="kernel_api", operations=OPERATIONS, provide=_provide)
