"""What the application knows of what kernels elsewhere may call: it offers no operation of the Lab's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

if TYPE_CHECKING:
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.settings import Settings
    from genops_lab.experiments.tracking import TrackingService
    from genops_lab.hosts.ledger import Ledger
    from genops_lab.kernels.folders.service import FoldersService
    from genops_lab.kernels.remote_kernels import RemoteKernels
    from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
    from genops_lab.profiling.service import ProfilesService

    from .service import RemoteTracking

    def tracking(get: Get) -> RemoteTracking:
        ledger = get(Ledger)

        def known(target: str) -> set[str]:
            return {kernel.kernel_id for kernel in ledger.own_kernels(target)}

        return RemoteTracking(
            get(RemoteKernels), get(TrackingService), get(ProfilesService), get(Settings).data_dir, known,
            get(FoldersService).requests, get(RemoteAnalysisService),
        )  # fmt: skip

    services.provide(RemoteTracking, tracking)


FEATURE = Feature(name="kernel_api", provide=_provide)
