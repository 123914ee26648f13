"""Define the interface of the targets that run deployments.

``tests/deployments/test_target_contract.py`` tests it on every target.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from genops_lab.core.errors import Failed
from genops_lab.deployments.https import Https
from genops_lab.deployments.hub_origin import HubOrigin
from genops_lab.deployments.models import DeployCheck, DeploymentState, ModelFile, TokenFigures
from genops_lab.deployments.record import ACTIVE, CallerKey
from genops_lab.deployments.rollout_models import Rollout
from genops_lab.deployments.scaling import Replicas, Scale
from genops_lab.serving.engines.settings import DEFAULT_TIMEOUT_S

SCORER_TIMEOUT_S = 60.0
ONE = Scale()
#: Receives a line of progress for the user.
Progress = Callable[[str], None]
#: Raises OldToken when another process has taken the work over. Blocks.
Check = Callable[[], None]
#: ``unroute`` and ``stop`` processes, ``place`` the files, ``start`` a process from them, ``renew`` the lease, and
#: ``route`` requests by weight.
Step = Literal["unroute", "stop", "place", "start", "renew", "route"]


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """The properties of a target. ``warning`` says why a deployment ends with its Jupyter server; else empty."""

    outlives_server: bool = True
    warning: str = ""


@dataclass(frozen=True, kw_only=True)
class DeploymentSpec:
    """The desired state: ``wanted`` replicas (0 after a stop) of a revision until ``lease_until``.

    ``number`` is the revision on the screen. ``serving`` names its engine with its settings; empty for MLflow's scorer,
    whose settings in ``spec.json`` are ``scorer``. ``files`` is the folder of the checked model, which the target
    moves; None if the revision has its files already. The revisions ``beside`` go on running, all others are stopped;
    those in ``known`` keep their files. A revision that has ended is started again if an older generation than
    ``since`` started it. ``weights`` share the requests; None leaves them as they are. ``keys`` are
    those that callers may send beside the deployment's own. A revision that loses its weight
    stays ready for ``warm_s`` without requests. After ``sleep_s`` without a caller the model is unloaded until the next
    request; 0: never. ``environment`` and the ``secrets`` of these names are variables of the revision's processes.
    ``scale`` bounds the replicas of revisions with a weight. ``https`` is the port for other machines. ``origin``
    is where a host may fetch ``files`` itself.
    """

    name: str
    version: str
    revision: int
    number: int = 1
    wanted: int = 1
    lease_s: float
    lease_until: float
    allow_pickle: bool = False
    serving: Mapping[str, Any] = field(default_factory=dict)
    scorer: Mapping[str, float] = field(default_factory=dict)
    files: Path | None = None
    beside: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    since: int = 0
    weights: Mapping[int, int] | None = None
    keys: tuple[CallerKey, ...] = ()
    warm_s: float = 3600.0
    sleep_s: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    scale: Scale = ONE
    https: Https | None = None
    origin: HubOrigin | None = None

    @property
    def timeout_s(self) -> float:
        """Seconds until the first byte of an answer; longer for engines, which answer when the last token is there."""
        if not self.serving:
            return SCORER_TIMEOUT_S
        return float(self.serving.get("settings", {}).get("timeout", DEFAULT_TIMEOUT_S))


@dataclass(frozen=True, kw_only=True)
class Revision:
    """The observed state of a revision, with its ``replicas`` if it can have several; ``reason`` and ``hint`` explain.

    ``number`` identifies it; ``generation`` is that of the change that started it. ``latency_ms`` is the median of the
    latest requests, ``loading_s`` how long the model took to load. ``tokens`` has the figures of a language model.
    """

    number: int
    version: str
    state: DeploymentState
    wanted: int
    ready: int
    reason: str = ""
    hint: str = ""
    generation: int = 0
    lease_until: float = 0.0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    loading_s: float = 0.0
    tokens: TokenFigures | None = None
    replicas: Replicas | None = None

    @property
    def active(self) -> bool:
        """Whether the revision has not ended."""
        return self.state in ACTIVE


@dataclass(frozen=True, kw_only=True)
class Observed:
    """The observed state of a deployment.

    ``address`` is empty until requests are routed. ``weights``, ``keys`` and ``scale`` are those that are routed.
    ``problem`` is what keeps the address from answering. ``rollout`` is the last one, as the gateway wrote it.
    ``away`` says that the target cannot be reached: the rest is then what was observed before, or nothing.
    ``https`` is the address for other machines. On a host, ``there`` is the address on it, ``forwarding`` the command
    that gives another machine that address, and ``tls`` the port of ``https``.
    """

    revisions: tuple[Revision, ...] = ()
    address: str = ""
    weights: Mapping[int, int] = field(default_factory=dict)
    keys: tuple[CallerKey, ...] = ()
    scale: Scale = ONE
    problem: str = ""
    rollout: Rollout | None = None
    away: str = ""
    https: str = ""
    tls: Https | None = None
    there: str = ""
    forwarding: str = ""
    lease_until: float = 0.0
    outlives_server: bool = True

    def revision(self, number: int) -> Revision | None:
        """Return the revision with this number, or None."""
        return next((each for each in self.revisions if each.number == number), None)

    @property
    def requests(self) -> int:
        """The requests to all revisions."""
        return sum(each.requests for each in self.revisions)

    @property
    def errors(self) -> int:
        """The errors of all revisions."""
        return sum(each.errors for each in self.revisions)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The steps from the observed to the desired state; empty if they agree."""

    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The free bytes of a machine: memory, disk, each GPU. 0: unknown."""

    name: str
    free_bytes: int = 0
    disk_bytes: int = 0
    gpus: tuple[int, ...] = ()


def deployment_of(asked: Mapping[str, Any]) -> str:
    """Return the deployment that a question to a gateway is about."""
    return str(asked["rollout"]["name"] if asked["op"] == "rollout" else asked["name"])


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
        """Run the steps of the plan. Return when a revision was started, before it is ready, and when each new
        request follows the weights. Only a ready revision gets requests.

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

    async def reach(self, name: str) -> None:
        """Raise Conflict unless the deployment can be changed now."""
        return

    async def checked(
        self, model: Path, check: DeployCheck, serving: Mapping[str, Any] | None = None
    ) -> DeployCheck:
        """Return the check of a version on this machine as it is on the target; ``model`` is its folder."""
        return check

    async def machine(self, name: str) -> Machine:
        """Return what the machine has for a further process of a deployment. Raises Failed and Conflict."""
        return Machine(name=self.name)

    async def bringing(self, origin: HubOrigin, files: Sequence[ModelFile]) -> str:
        """Return who brings the files of a repository to the target, and how long that takes; empty if nobody must."""
        return ""

    async def close(self) -> None:
        """End what this object follows; deployments go on."""
        return

    async def keep(self) -> None:
        """Start again what has ended although it is wanted, such as a gateway. Called while deployments are active."""
        return

    async def ask_gateway(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the gateway of this target about a rollout (``serving/gateway/control.py``). Raises Failed."""
        raise Failed(f"{self.name} has no gateway that judges rollouts.", hint="Use --rollout replace.")

    @abstractmethod
    async def key(self, name: str) -> str:
        """Return the key of the deployment's own that requests may send; empty if there is none."""
