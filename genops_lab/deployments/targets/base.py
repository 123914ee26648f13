"""Define the interface of the targets that run deployments.

``tests/deployments/test_target_contract.py`` tests it on every target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genops_lab.deployments.models import DeploymentState
from genops_lab.deployments.record import ACTIVE

#: Receives a line of progress for the user.
Progress = Callable[[str], None]
#: Raises OldToken when another process has taken the work over. Blocks.
Check = Callable[[], None]
#: ``stop`` the process, ``place`` the files, ``start`` a process from them, ``renew`` the lease.
Step = Literal["stop", "place", "start", "renew"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The properties of a target. ``warning`` says why a deployment ends with its Jupyter server; else empty."""

    outlives_server: bool = True
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """The desired state: ``wanted`` replicas (0 after a stop) of a revision until ``lease_until``.

    ``files`` is the folder of the checked model, which the target moves; None if the revision has its files already.
    """

    name: str
    version: str
    revision: int
    wanted: int = 1
    lease_s: float
    lease_until: float
    allow_pickle: bool = False
    files: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The observed state of a revision: ``ready`` of ``wanted`` replicas answer; ``reason`` and ``hint`` explain."""

    number: int
    version: str
    state: DeploymentState
    wanted: int
    ready: int
    reason: str = ""
    hint: str = ""

    @property
    def active(self) -> bool:
        """Whether the revision has not ended."""
        return self.state in ACTIVE


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The observed state of a deployment.

    ``address`` is empty until the deployment is ready. ``latency_ms`` is the median of the latest requests.
    """

    revisions: tuple[Revision, ...] = ()
    address: str = ""
    lease_until: float = 0.0
    outlives_server: bool = True
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None

    def revision(self, number: int) -> Revision | None:
        """Return the revision with this number, or None."""
        return next((each for each in self.revisions if each.number == number), None)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The steps from the observed to the desired state; empty if they agree."""

    steps: tuple[Step, ...] = ()


class DeploymentTarget(ABC):
    """A target of one kind. Each change can be repeated, also after a kill in its middle."""

    #: The name of the target on the screen.
    name: str

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Return the properties of the target."""

    @abstractmethod
    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        """Return the steps of :meth:`apply`, from the arguments alone and without changing anything."""

    @abstractmethod
    async def apply(
        self, spec: DeploymentSpec, generation: int, progress: Progress, *, check: Check | None = None
    ) -> None:
        """Run the steps of the plan. Return when a revision was started, before it is ready.

        A spec of an older generation than the last one changes nothing. A deleted deployment has no generation:
        ``check`` is called when no other process can delete it, and its error prevents the placing of files. A
        cancellation leaves no half-done step. Raises Failed for a full disk or an environment that cannot be built.
        """

    @abstractmethod
    async def observe(self, name: str) -> Observed:
        """Return the state of a deployment, also of another Lab's; empty if the target does not have it."""

    @abstractmethod
    def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        """Yield the last ``lines`` lines of a revision's log (None: the newest revision).

        With ``follow``, then yield new lines until the revision ends.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """End a deployment and remove its files; do nothing if the target does not have it. Raises Failed."""

    @abstractmethod
    async def key(self, name: str) -> str:
        """Return the key that requests must send; empty if there is none."""
