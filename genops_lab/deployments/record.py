"""Define the record of a deployment in the store: the request and the last observed state."""

from __future__ import annotations

from typing import Any

import msgspec

from genops_lab.core.errors import Conflict, NotFound

from .https import Https
from .live_scorers import Scored
from .models import DeploymentState
from .scaling import Scale
from .tracing_settings import Traced

#: The target of deployments without another one.
LOCAL = "this machine"
#: The path at which a command says that it is ready, unless another one was given.
DEFAULT_HEALTH = "/health"
ACTIVE = ("preparing", "starting", "running", "stopping")


class CallerKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A named key that callers may send, as its SHA-256.

    ``limit`` is in requests a minute, ``tokens`` in tokens of language models a minute; 0 is no limit.
    """

    name: str
    sha256: str
    limit: int = 0
    tokens: int = 0
    created_at: float = 0.0


class Described(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The file that a deployment was last applied from: its path, its text, and when (seconds since 1970).

    Paths in the text are below ``folder``.
    """

    file: str
    text: str
    at: float
    folder: str = ""


class Given(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The rest of what a person asked to deploy, beside a model and its version.

    ``path``, or a ``command`` with its ``port`` and ``health`` path; the ``adapter`` of a language model;
    the ``secret`` with the token of a repository; the ``settings`` without defaults.
    """

    path: str = ""
    adapter: str = ""
    command: str = ""
    port: int = 0
    health: str = ""
    secret: str = ""
    settings: dict[str, str] = {}


class KnownRevision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A revision of a deployment: ``number`` on the screen, ``id`` for the target.

    ``serving`` says which engine serves it, and its settings (``llms.py``); empty for MLflow's scorer. ``environment``
    and the ``secrets`` of these names are variables of its processes. Its model is unloaded after ``sleep_s`` without a
    caller; 0: never. ``scorer`` has the settings of MLflow's scorer. ``given`` is what a file of it says. ``digest`` is
    that of the files, and ``commit`` that of a repository of the hub.
    """

    number: int
    id: int
    model: str
    version: str
    created_at: float
    allow_pickle: bool = False
    sleep_s: float = 0.0
    serving: dict[str, Any] = {}
    scorer: dict[str, Any] = {}
    environment: dict[str, str] = {}
    secrets: list[str] = []
    given: Given = Given()
    digest: str = ""
    commit: str = ""

    @property
    def is_registered(self) -> bool:
        """Whether this is a version of the registry, and not a repository, a path or a command."""
        return not (self.commit or self.given.path or self.given.command)


class Wanted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Further parts of the request, as JSON in ``Record.spec``. The lease is in seconds.

    ``warm_s``, ``memory_bytes`` and ``gpus`` are 0 unless a file says them, ``https`` is None. ``described`` is that
    file. ``traces`` is None while no requests become traces, and ``scored`` while no scorer looks at them.

    ``revisions`` has the current revision and earlier ones that one can go back to, the oldest first. ``update`` is the
    id of the revision that an update in progress makes the current one. ``note`` is the end of the
    last update that failed.
    """

    lease_s: float = 0.0
    allow_pickle: bool = False
    revisions: list[KnownRevision] = []
    update: int | None = None
    note: str = ""
    keys: list[CallerKey] = []
    warm_s: float = 0.0
    memory_bytes: int = 0
    gpus: int = 0
    scale: Scale = Scale()
    https: Https | None = None
    traces: Traced | None = None
    scored: Scored | None = None
    described: Described | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment; ``model``, ``version`` and ``revision`` are those of the current revision.

    ``generation`` grows with each change that the target is asked for. ``revision`` is the id of a revision: the
    generation in which it was made.
    """

    name: str
    model: str
    version: str
    target: str = ""
    spec: str = "{}"
    revision: int = 0
    generation: int = 0
    state: DeploymentState
    message: str = ""
    hint: str = ""
    created_at: float
    lease_until: float

    @property
    def active(self) -> bool:
        """Whether the deployment has not ended."""
        return self.state in ACTIVE

    @property
    def wanted(self) -> Wanted:
        """The further parts of the request."""
        return msgspec.json.decode(self.spec, type=Wanted)

    @property
    def revisions(self) -> list[KnownRevision]:
        """The revisions, the oldest first. A record of an older version has one."""
        only = KnownRevision(
            number=1,
            id=self.revision,
            model=self.model,
            version=self.version,
            created_at=self.created_at,
            allow_pickle=self.wanted.allow_pickle,
        )
        return self.wanted.revisions or [only]

    def known(self, revision: int) -> KnownRevision | None:
        """Return the revision with this id, or None."""
        return next((each for each in self.revisions if each.id == revision), None)

    def numbered(self, number: int) -> KnownRevision:
        """Return the revision with this number. Raises NotFound."""
        found = next((each for each in self.revisions if each.number == number), None)
        if found is None:
            known = ", ".join(str(each.number) for each in self.revisions)
            raise NotFound(f"{self.name!r} has no revision {number}.", hint=f"Its revisions: {known}.")
        return found

    def with_wanted(self, **changes: Any) -> Record:
        """Return the record with changed parts of ``wanted``."""
        wanted = msgspec.structs.replace(self.wanted, **changes)
        return msgspec.structs.replace(self, spec=msgspec.json.encode(wanted).decode())


def update_in_progress(name: str) -> Conflict:
    """Return the error for a second update at once."""
    return Conflict(
        f"Another update of {name!r} began at the same time or is in progress.",
        hint=f"Wait for it, or cancel it and stay with the current revision: genops deployments rollback {name}",
        code="under_way",
    )


def name_in_use(record: Record) -> Conflict:
    """Return the error for a name in use."""
    return Conflict(
        f"The deployment {record.name!r} is already {record.state} ({record.model} version {record.version}).",
        hint=f"Choose another name, or stop this deployment first: genops deployments stop {record.name}",
        code="name_in_use",
    )
