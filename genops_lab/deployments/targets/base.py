"""What a place where deployments run must be able to do.

``tests/deployments/test_target_contract.py`` says it of every target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genops_lab.deployments.models import DeploymentState
from genops_lab.deployments.record import ACTIVE

#: Takes a line for the person who waits.
Progress = Callable[[str], None]
#: ``stop`` what runs, ``place`` the files, ``start`` what was placed, ``renew`` the lease.
Step = Literal["stop", "place", "start", "renew"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """``warning`` is for people: why a deployment ends with its Jupyter server, empty where it does not."""

    outlives_server: bool = True
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """What shall be there: ``revision`` of a deployment, ``wanted`` times (0 after a stop), until ``lease_until``.

    ``files`` is the folder of the checked model, which the target takes away; None where the revision has it already.
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
    """One revision as it is now: ``ready`` of ``wanted`` answer; ``reason`` and ``hint`` say why not."""

    number: int
    version: str
    state: DeploymentState
    wanted: int
    ready: int
    reason: str = ""
    hint: str = ""

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE


@dataclass(frozen=True, kw_only=True)
class Observed:
    """A deployment as its target shows it now. ``address`` is empty until it answers; ``latency_ms`` is the median of
    the latest requests."""

    revisions: tuple[Revision, ...] = ()
    address: str = ""
    lease_until: float = 0.0
    outlives_server: bool = True
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None

    def revision(self, number: int) -> Revision | None:
        """The revision with this number."""
        return next((each for each in self.revisions if each.number == number), None)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The steps from what is observed to what shall be; none where all is as it shall be."""

    steps: tuple[Step, ...] = ()


class DeploymentTarget(ABC):
    """One kind of place. All that changes something can be done again, also after it was killed in its middle."""

    #: how people call the target
    name: str

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abstractmethod
    def plan(self, spec: DeploymentSpec, observed: Observed) -> Changes:
        """What :meth:`apply` would do. Pure: it looks at nothing else and changes nothing."""

    @abstractmethod
    async def apply(self, spec: DeploymentSpec, generation: int, progress: Progress) -> None:
        """Take the steps of the plan. Returns when a revision was started, which is before it answers.

        A spec of an older generation than the last one changes nothing. A cancellation leaves nothing half made.
        Raises Failed: the disk is full, the environment cannot be built.
        """

    @abstractmethod
    async def observe(self, name: str) -> Observed:
        """See how it is, also where another Lab started it; nothing where there is no such deployment."""

    @abstractmethod
    def logs(
        self, name: str, revision: int | None = None, *, lines: int, follow: bool = False
    ) -> AsyncIterator[list[str]]:
        """The last ``lines`` of a revision's log (of the newest without a number), then, where followed, new lines as
        they come, until the revision has ended."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """End it and remove all that it left; harmless where nothing is there. Raises Failed."""

    @abstractmethod
    async def key(self, name: str) -> str:
        """The key that requests must carry; empty where there is none."""
