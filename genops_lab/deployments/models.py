"""Wire types of deployments. Times in seconds since 1970, latencies in milliseconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.registry.files.models import Verdict
from genops_lab.registry.signing import Signature

from .addresses import Address
from .policy import RolloutPolicy
from .rollout_models import Rollout
from .scaling import Replicas, Scale

DeploymentState = Literal["preparing", "starting", "running", "stopping", "stopped", "failed", "ended"]


#: The code of the error that the files of a repository must be fetched first; its details have ``fetch``, for that.
NOT_FETCHED = "not_fetched"


class TokenFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a language model: tokens so far, and medians of the latest answers.

    ``first_token_ms`` is the time to the first token of a stream. ``kv_use`` is the share of the KV cache that requests
    use now, ``waiting`` the requests that wait in the engine. A figure that the engine does not tell is null.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_s: float | None = None
    first_token_ms: float | None = None
    kv_use: float | None = None
    waiting: float | None = None


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The engine of a revision that MLflow's scorer does not serve: its settings and, for a model, its figures.

    ``adapter`` is the LoRA adapter of the model, if it has one.
    """

    engine: str
    settings: dict[str, str] = {}
    adapter: str = ""
    tokens: TokenFigures | None = None


class DeploymentRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A version as it was deployed. ``weight`` is its share of the requests in percent.

    ``is_current`` is true for the revision that gets the requests, ``is_update`` for one that is about to. A revision
    that is ``running`` can take over at once; it ends at ``lease_until`` unless it gets requests. ``replicas`` is None
    for one that is a single process. ``settings`` are those of MLflow's scorer.
    """

    number: int
    model: str
    version: str
    state: DeploymentState
    message: str = ""
    is_current: bool = False
    is_update: bool = False
    weight: int = 0
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    created_at: float
    lease_until: float = 0.0
    serving: Serving | None = None
    replicas: Replicas | None = None
    settings: dict[str, str] = {}


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed model version. Requests: ``POST url/invocations`` with ``Authorization: Bearer KEY``.

    A language model has ``serving`` and answers at ``url/v1/chat/completions``.

    ``model``, ``version`` and ``latency_ms`` are those of the current ``revision``. ``updating_to`` is the revision of
    an update in progress; 0 without one. ``rollout`` is the last rollout, without its history. ``file`` is the
    deployment file that was applied last, if any. ``ended`` means that the deployment ended without a stop: with its
    Jupyter server or its lease. ``addresses`` says who reaches it from where. ``settings`` are those of MLflow's
    scorer.
    """

    name: str
    model: str
    version: str
    state: DeploymentState
    url: str = ""
    message: str = ""
    hint: str = ""
    target: str = "this machine"
    addresses: list[Address] = []
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    outlives_server: bool = True
    task_id: str = ""
    created_at: float
    lease_until: float
    file: str = ""
    revision: int = 1
    updating_to: int = 0
    revisions: list[DeploymentRevision] = []
    rollout: Rollout | None = None
    serving: Serving | None = None
    settings: dict[str, str] = {}


class RollBack(msgspec.Struct, frozen=True, kw_only=True):
    """Go back to a revision (0: the one before the current). ``idempotency_key`` makes a repetition harmless."""

    to: int = 0
    idempotency_key: str = ""


class NewCallerKey(msgspec.Struct, frozen=True, kw_only=True):
    """Add a key for a person or program.

    ``limit`` is in requests a minute, ``tokens`` in tokens of language models a minute; 0 is no limit.
    """

    name: str
    limit: int = 0
    tokens: int = 0


class DeploymentCallerKey(msgspec.Struct, frozen=True, kw_only=True):
    """A named key of a deployment. ``key`` is shown once, when the key is added; then only its hash is kept.

    ``last_used_at`` is 0 if no request had it since the gateway of the deployment started, or if that is unknown.
    """

    name: str
    limit: int = 0
    tokens: int = 0
    created_at: float = 0.0
    last_used_at: float = 0.0
    key: str = ""


class DeploymentChange(msgspec.Struct, frozen=True, kw_only=True):
    """A difference between a deployment as it is ``now`` and as a ``file`` or an update makes it; empty: not there."""

    what: str
    now: str
    file: str


class UpdatePlan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an update of a running deployment: revision ``number`` takes the place of ``serving``.

    If it does not fit beside it, ``message`` says so in numbers, and the earlier revision must be stopped first:
    ``downtime`` says what that means. ``file`` is the deployment file that was applied last: it will differ.
    """

    name: str
    number: int
    serving: int
    fits: bool
    needs_bytes: int
    free_bytes: int
    needs_gpus: int = 0
    free_gpus: int = 0
    message: str
    downtime: str
    changes: list[DeploymentChange] = []
    file: str = ""


class DeploymentKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that requests to a deployment must send."""

    name: str
    key: str


class KeyedDeployment(Deployment, frozen=True, kw_only=True):
    """A deployment with its key, for kernels that an older version started."""

    key: str = ""


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a model, with its size in bytes."""

    path: str
    size_bytes: int
    sha256: str


class DeployCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The check of a model version before it is loaded. Loading a model may run code.

    ``trusted`` is true only if a run of this user recorded the hashes of these files. Otherwise the user sees
    ``title``, ``findings``, ``reason`` (the origin) and ``advice``, and must confirm. Files with the verdict
    ``refused`` cannot be confirmed. ``digest`` (``sha256:...``) identifies exactly these files.
    ``package_sources``, if an environment is built, are the requirement lines that set where packages come from:
    indexes, links, constraints, addresses, ``${VARIABLES}``. ``signature`` is None where the administrator trusts no
    keys. Where a signature is required, a version without a valid one has the verdict ``refused``. ``update`` is the
    plan if the name is that of a running deployment. ``where`` is the target if that is not this machine. ``engine``
    serves a language model; else empty. ``memory`` says in numbers what the start needs and what is free there.
    """

    model: str
    version: str
    trusted: bool
    reason: str
    flavors: list[str]
    loader: str
    holds_pickle: bool
    verdict: Verdict = "unknown"
    title: str = ""
    findings: list[str] = []
    advice: str = ""
    files: list[ModelFile]
    digest: str
    environment: Literal["present", "build"]
    missing_requirements: list[str]
    package_sources: list[str] = []
    outlives_server: bool
    warning: str = ""
    signature: Signature | None = None
    update: UpdatePlan | None = None
    where: str = ""
    engine: str = ""
    memory: str = ""


class Deployable(msgspec.Struct, frozen=True, kw_only=True):
    """The thing to deploy. One of ``model``, ``path`` and ``command`` is given.

    - model: a registered model with a ``version`` (a number, an alias, or empty for the newest), or
      ``hf:ORG/NAME@REVISION``. ``secret`` names the variable that has the token of a gated repository.
    - path: a GGUF file or a folder of this machine.
    - adapter: a LoRA adapter of ``path`` or of a repository: a GGUF file or a folder, or ``hf:ORG/NAME@REVISION``. The
      base model with it is a revision.
    - command: a command that listens on ``port`` (0: on ``$PORT``) and answers 200 at ``health`` when it is ready.

    ``settings`` are those of language models or of MLflow's scorer. ``name`` is that of the deployment (empty: the
    model's).
    ``on`` is a target; empty: where a deployment of this name is, else this machine.
    """

    model: str = ""
    version: str = ""
    name: str = ""
    on: str = ""
    path: str = ""
    adapter: str = ""
    command: str = ""
    port: int = 0
    health: str = ""
    secret: str = ""
    settings: dict[str, str] = {}


class CheckDeploy(Deployable, frozen=True, kw_only=True):
    """Check what is to be deployed, before it is loaded."""


class NewDeployment(Deployable, frozen=True, kw_only=True):
    """Deploy a version under a name. It takes the place of the version that runs there.

    ``rollout`` says how a version gets the requests of the one that runs; without it, it replaces that one.
    ``replace_first`` stops the earlier version first, for a machine without memory for both. With ``sleep_minutes`` the
    model is unloaded when nobody was connected for so long, and loaded at the next request; 0: never.
    ``scale`` bounds the replicas; None leaves them as they are.
    ``trust`` confirms an unknown origin: it is the ``digest`` of the check that the user saw. Other files
    need a new confirmation.
    """

    trust: str = ""
    idempotency_key: str = ""
    replace_first: bool = False
    sleep_minutes: float = 0.0
    scale: Scale | None = None
    rollout: RolloutPolicy | None = None


class FetchedModel(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a repository at a commit that were fetched. ``used_by`` are deployments with a revision of it."""

    model: str
    revision: str
    size_bytes: int
    at: float
    used_by: list[str] = []


class FetchedModels(msgspec.Struct, frozen=True, kw_only=True):
    """The fetched files of repositories, as revisions share them. ``size_bytes`` counts each file once.

    ``freed_bytes`` is what a deletion gave back.
    """

    folder: str
    size_bytes: int
    models: list[FetchedModel]
    freed_bytes: int = 0


class LogLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a deployment's log, in the order of the log."""

    lines: list[str]


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a deployment's log."""

    name: str
    lines: list[str]


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The number of lines, from 1 to 5,000, and the revision (0: the current one or, during an update, the new one)."""

    lines: int = 100
    revision: int = 0
