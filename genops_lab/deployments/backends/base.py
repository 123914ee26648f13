"""What a place where deployments run must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from genops_lab.deployments.models import DeploymentState
from genops_lab.deployments.record import Record

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start: the checked ``model`` folder, under a name, with a lease of ``lease_s`` seconds."""

    name: str
    model: Path
    key: str
    lease_s: float
    lease_until: float
    allow_pickle: bool


@dataclass(frozen=True, kw_only=True)
class Stats:
    """What a deployment served; ``latency_ms`` is the median of its latest requests."""

    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class ObservedState:
    """A deployment as its place shows it now."""

    state: DeploymentState
    message: str = ""
    hint: str = ""
    port: int | None = None
    lease_until: float = 0.0
    stats: Stats = Stats()


class DeploymentBackend(ABC):
    """One kind of target. Methods that are not ``async`` block: call them through a thread."""

    #: how people call the target
    target: str

    @abstractmethod
    async def prepare(self, plan: Plan, tell: Tell) -> None:
        """Put the files in place and make the environment; cancelling it leaves nothing half made."""

    @abstractmethod
    def start(self, plan: Plan) -> tuple[int, float]:
        """Start it; its pid and the time of its start (seconds since 1970)."""

    @abstractmethod
    def stop(self, record: Record) -> None:
        """Stop it after the requests in flight, within 10 s; harmless when it has ended."""

    @abstractmethod
    def find(self, record: Record) -> ObservedState:
        """See how it is, also one that another Lab started."""

    @abstractmethod
    def stats(self, record: Record) -> Stats:
        """What it served so far."""

    @abstractmethod
    def renew(self, record: Record, until: float) -> None:
        """Extend its lease."""

    @abstractmethod
    def key(self, record: Record) -> str:
        """The key that its requests must carry; empty when it is gone."""

    @abstractmethod
    def url(self, record: Record, sighting: ObservedState) -> str:
        """Where it answers; empty until it does."""

    @abstractmethod
    def log_path(self, name: str) -> Path:
        """The file that holds its log."""

    @abstractmethod
    def log(self, name: str, lines: int) -> list[str]:
        """The last lines of its log."""

    @abstractmethod
    def remove(self, record: Record) -> None:
        """Remove all that it left; harmless when nothing is there."""
