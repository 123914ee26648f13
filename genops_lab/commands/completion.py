"""Names for the shell's tab key: asked of a running Lab within a second, silent on any failure.

Without a running Lab nothing is offered: starting the services takes longer than a person waits for a tab.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genops_lab.core.operations import Operation

TIMEOUT_S = 1.0


def _ask(operations: list[Operation], method: Callable[..., Any], *arguments: Any) -> Any:
    from genops_lab.core.client import SocketCaller
    from genops_lab.core.running_labs import find

    found = find()
    if found is None:
        return []
    return SocketCaller(found.socket, operations, timeout_s=TIMEOUT_S).call(method, *arguments)


def _every(operations: list[Operation], method: Callable[..., Any], *, key: str) -> list[Any]:
    from operator import attrgetter

    from genops_lab.core.paging import Page, every_page

    return list(every_page(lambda query: _ask(operations, method, query) or Page(items=[]), attrgetter(key)))


def _matching(names: Callable[[], list[str]], incomplete: str) -> list[str]:
    try:
        return sorted({name for name in names() if name.startswith(incomplete)})
    except Exception:  # the shell shows what a completer prints: nothing is better than a traceback
        return []


def model_names(incomplete: str) -> list[str]:
    """Registered models."""

    def names() -> list[str]:
        from genops_lab.registry.routes import OPERATIONS
        from genops_lab.registry.service import RegistryService

        return [model.name for model in _every(OPERATIONS, RegistryService.list_models, key="name")]

    return _matching(names, incomplete)


def deployment_names(incomplete: str) -> list[str]:
    """Deployments."""

    def names() -> list[str]:
        from genops_lab.deployments.routes import OPERATIONS
        from genops_lab.deployments.service import DeploymentsService

        return [each.name for each in _every(OPERATIONS, DeploymentsService.list_deployments, key="name")]

    return _matching(names, incomplete)


def experiment_names(incomplete: str) -> list[str]:
    """Experiments."""

    def names() -> list[str]:
        from genops_lab.experiments.routes import OPERATIONS
        from genops_lab.experiments.service import ExperimentsService

        return [each.name for each in _every(OPERATIONS, ExperimentsService.list_experiments, key="name")]

    return _matching(names, incomplete)


def run_ids(incomplete: str) -> list[str]:
    """The latest runs, and ``latest``."""

    def names() -> list[str]:
        from genops_lab.experiments.models import RunQuery
        from genops_lab.experiments.routes import OPERATIONS
        from genops_lab.experiments.service import ExperimentsService

        page = _ask(OPERATIONS, ExperimentsService.list_runs, RunQuery(limit=50))
        return ["latest", *(run.run_id for run in page.items)] if page else ["latest"]

    return _matching(names, incomplete)


def profile_ids(incomplete: str) -> list[str]:
    """Captured profiles."""

    def names() -> list[str]:
        from genops_lab.profiling.routes import OPERATIONS
        from genops_lab.profiling.service import ProfilesService

        return [each.id for each in _every(OPERATIONS, ProfilesService.list_profiles, key="id")]

    return _matching(names, incomplete)


def target_names(incomplete: str) -> list[str]:
    """Targets."""

    def names() -> list[str]:
        from genops_lab.hosts.routes import OPERATIONS
        from genops_lab.hosts.service import TargetsService

        return [each.name for each in _ask(OPERATIONS, TargetsService.list_targets)]

    return _matching(names, incomplete)


def remote_kernel_ids(incomplete: str) -> list[str]:
    """Kernels on targets that are connected."""

    def names() -> list[str]:
        from genops_lab.hosts.routes import OPERATIONS
        from genops_lab.kernels.remote_service import RemoteKernelsService

        places = _ask(OPERATIONS, RemoteKernelsService.list_remote_kernels)
        return [each.kernel_id for place in places for each in place.kernels]

    return _matching(names, incomplete)
