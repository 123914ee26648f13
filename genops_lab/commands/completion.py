"""Complete names for the shell: ask a running Lab for up to 1 s, and offer nothing on any failure.

Without a running Lab nothing is offered, because starting the services takes too long for a completion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

TIMEOUT_S = 1.0


def _ask(method: Callable[..., Any], *arguments: Any) -> Any:
    from genops_lab.app.features import OPERATIONS
    from genops_lab.core.client import SocketCaller
    from genops_lab.core.running_labs import find

    found = find()
    return (
        SocketCaller(found.socket, OPERATIONS, timeout_s=TIMEOUT_S).call(method, *arguments) if found else []
    )


def _every(method: Callable[..., Any], *, key: str) -> Iterator[Any]:
    from operator import attrgetter

    from genops_lab.core.paging import Page, every_page

    return every_page(lambda query: _ask(method, query) or Page(items=[]), attrgetter(key))


def _matching(names: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return sorted({name for name in names() if name.startswith(incomplete)})
    except Exception:  # the shell would show a traceback
        return []


def model_names(incomplete: str) -> list[str]:
    """Registered models."""
    from genops_lab.registry.service import RegistryService

    return _matching(
        lambda: (each.name for each in _every(RegistryService.list_models, key="name")), incomplete
    )


def deployment_names(incomplete: str) -> list[str]:
    """Deployments."""
    from genops_lab.deployments.service import DeploymentsService

    return _matching(
        lambda: (each.name for each in _every(DeploymentsService.list_deployments, key="name")), incomplete
    )


def experiment_names(incomplete: str) -> list[str]:
    """Experiments."""
    from genops_lab.experiments.service import ExperimentsService

    return _matching(
        lambda: (each.name for each in _every(ExperimentsService.list_experiments, key="name")), incomplete
    )


def run_ids(incomplete: str) -> list[str]:
    """The latest runs, and ``latest``."""
    from genops_lab.experiments.models import RunQuery
    from genops_lab.experiments.service import ExperimentsService

    def names() -> list[str]:
        page = _ask(ExperimentsService.list_runs, RunQuery(limit=50))
        return ["latest", *(run.run_id for run in page.items)] if page else ["latest"]

    return _matching(names, incomplete)


def profile_ids(incomplete: str) -> list[str]:
    """Captured profiles."""
    from genops_lab.profiling.service import ProfilesService

    return _matching(
        lambda: (each.id for each in _every(ProfilesService.list_profiles, key="id")), incomplete
    )


def target_names(incomplete: str) -> list[str]:
    """Targets."""
    from genops_lab.hosts.service import TargetsService

    return _matching(lambda: (each.name for each in _ask(TargetsService.list_targets)), incomplete)


def remote_kernel_ids(incomplete: str) -> list[str]:
    """Kernels on targets that are connected."""
    from genops_lab.kernels.remote_service import RemoteKernelsService

    def names() -> Iterable[str]:
        places = _ask(RemoteKernelsService.list_remote_kernels)
        return (each.kernel_id for place in places for each in place.kernels)

    return _matching(names, incomplete)
