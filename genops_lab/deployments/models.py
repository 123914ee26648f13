"""Wire types of deployments. Times in seconds since 1970, latencies in milliseconds."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.registry.files.models import Verdict
from genops_lab.registry.signing import Signature

DeploymentState = Literal["preparing", "starting", "running", "stopping", "stopped", "failed", "ended"]


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """A deployed model version. Requests: ``POST url/invocations`` with ``Authorization: Bearer KEY``.

    ``ended`` means that the deployment ended without a stop: with its Jupyter server or its lease.
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
    keys. Where a signature is required, a version without a valid one has the verdict ``refused``.
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


class CheckDeploy(msgspec.Struct, frozen=True, kw_only=True):
    """Check a version: a number, an alias, or empty for the newest."""

    model: str
    version: str = ""


class NewDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """Deploy a version under a name (empty: the model's name).

    ``trust`` confirms an unknown origin: it is the ``digest`` of the check that the user saw. Other files need a new
    confirmation.
    """

    model: str
    version: str = ""
    name: str = ""
    trust: str = ""
    idempotency_key: str = ""


class LogLines(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a deployment's log, in the order of the log."""

    lines: list[str]


class LogTail(msgspec.Struct, frozen=True, kw_only=True):
    """The last lines of a deployment's log."""

    name: str
    lines: list[str]


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The number of lines, from 1 to 5,000."""

    lines: int = 100
