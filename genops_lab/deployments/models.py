"""Wire types of deployments. Times in seconds since 1970, latencies in milliseconds."""

from __future__ import annotations

from typing import Literal

import msgspec

DeploymentState = Literal["preparing", "starting", "running", "stopping", "stopped", "failed", "ended"]


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers requests: ``POST url/invocations`` with ``Authorization: Bearer KEY``.

    ``ended`` means that it ended without being stopped: with its server, or with its lease.
    """

    name: str
    model: str
    version: str
    state: DeploymentState
    url: str = ""
    message: str = ""
    hint: str = ""
    target: str = "this machine"
    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    outlives_server: bool = True
    task_id: str = ""
    created_at: float
    lease_until: float


class DeploymentKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that a deployment's requests must carry."""

    name: str
    key: str


class KeyedDeployment(Deployment, frozen=True, kw_only=True):
    """A deployment with its key, as kernels that run since an older version ask for it."""

    key: str = ""


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a model."""

    path: str
    size_bytes: int
    sha256: str


class DeployCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What to know before a model is loaded.

    ``trusted`` is true only when the files' hashes are those that a run of this user recorded; otherwise the
    user is asked, with ``flavors``, ``loader`` and ``files`` shown, for loading a model may run code. ``digest``
    (``sha256:...``) stands for exactly these files. Where an environment is built, ``package_sources`` are the lines
    of the requirements that say from where packages come: indexes, links, constraints, addresses, ``${VARIABLES}``.
    """

    model: str
    version: str
    trusted: bool
    reason: str
    flavors: list[str]
    loader: str
    holds_pickle: bool
    files: list[ModelFile]
    digest: str
    environment: Literal["present", "build"]
    missing_requirements: list[str]
    package_sources: list[str] = []
    outlives_server: bool
    warning: str = ""


class CheckDeploy(msgspec.Struct, frozen=True, kw_only=True):
    """``version`` is a number, an alias, or empty for the newest."""

    model: str
    version: str = ""


class NewDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """Deploy a version under a name (the model's name when empty).

    ``trust`` confirms an unknown origin: the ``digest`` of the check that was shown. Other files are asked about anew.
    """

    model: str
    version: str = ""
    name: str = ""
    trust: str = ""
    idempotency_key: str = ""


class LogLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a deployment's log: first the last ones, then those that come."""

    lines: list[str]


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a deployment's log."""

    name: str
    lines: list[str]


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines, at most 5,000."""

    lines: int = 100
