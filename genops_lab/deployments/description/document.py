"""The content of a deployment file: what a deployment serves, with which limits, and who may call it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from genops_lab.core.errors import InvalidRequest
from genops_lab.deployments.policy import RolloutPolicy, check_policy
from genops_lab.deployments.scaling import MOST
from genops_lab.deployments.tracing_settings import EXPERIMENT

API_VERSION = "genops/v1"
#: A name of a deployment or of a key.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,199}\Z"
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}\Z"
ADDRESS_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?:[1-9][0-9]{0,4}\Z"
SIZE_PATTERN = r"^[0-9]{1,6}(\.[0-9]{1,6})? ?(MB|GB|TB|MiB|GiB|TiB)\Z"

Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
ModelName = Annotated[str, Meta(max_length=256)]
Version = Annotated[str, Meta(max_length=256)]
Text = Annotated[str, Meta(max_length=4096)]
Setting = Annotated[str, Meta(pattern=r"^[a-z_]{1,40}\Z")]
Variable = Annotated[str, Meta(pattern=VARIABLE_PATTERN)]
Value = Annotated[str, Meta(pattern=r"^[^\x00]*\Z", max_length=10_000)]
Hours = Annotated[float, Meta(gt=0, le=8784)]

#: How the name of a repository of the hub begins.
HUB = "hf:"

#: Variables that the process of a model gets from GenOps Lab.
OWN_VARIABLES = frozenset(
    {
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION",
        "MLFLOW_DISABLE_TELEMETRY",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    }
)
_UNITS = {"TiB": 2**40, "GiB": 2**30, "MiB": 2**20, "TB": 10**12, "GB": 10**9, "MB": 10**6}


class Revision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The thing that answers. One of three keys names it.

    - model: a registered model with its ``version``, a number or an alias; or ``hf:ORG/NAME@REVISION``. ``secret``
      names the variable of the Lab that has the token of a gated repository.
    - path: a GGUF file or a folder of safetensors. A relative path begins at the folder of the file.
      ``adapter``, a LoRA adapter, is a path too or ``hf:ORG/NAME@REVISION``. It goes with ``hf:`` models and paths.
    - command: a program that listens on ``port`` (0: on ``$PORT``) and answers 200 at ``health``.

    ``settings`` are those of ``genops deploy --set``. A relative ``chat_template`` begins at the folder of the file.
    ``traffic`` is the share of the requests in percent.
    """

    model: ModelName = ""
    version: Version | int = ""
    path: Text = ""
    adapter: Text = ""
    command: Text = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    health: Annotated[str, Meta(max_length=201)] = ""
    secret: Variable | None = None
    settings: Annotated[dict[Setting, str | int | float | bool], Meta(max_length=50)] = {}
    traffic: Annotated[int, Meta(ge=0, le=100)] = 100

    def __post_init__(self) -> None:
        if sum(map(bool, (self.model, self.path, self.command))) != 1:
            raise ValueError("This revision must have one of the keys 'model', 'path' and 'command'.")
        if self.is_registered and self.version == "":
            raise ValueError("The key 'version' is missing: a number or an alias of the registered model.")
        if self.version != "" and not self.is_registered:
            raise ValueError("The key 'version' is one of registered models: write hf:ORG/NAME@REVISION.")
        if self.adapter and (self.command or self.is_registered):
            raise ValueError("The key 'adapter' needs the key 'path', or model: hf:ORG/NAME@REVISION.")
        if (self.port or self.health) and not self.command:
            raise ValueError("The keys 'port' and 'health' need the key 'command'.")
        if self.secret and not self.model.startswith(HUB):
            raise ValueError("The key 'secret' is the token of a repository: it needs model: hf:ORG/NAME.")
        if self.traffic != 100:
            raise ValueError(
                "This key 'traffic' must be 100: all requests go to one revision, shares do not exist yet."
            )

    @property
    def is_registered(self) -> bool:
        """Whether it is a version of a registered model."""
        return bool(self.model) and not self.model.startswith(HUB)

    @property
    def given_settings(self) -> dict[str, str]:
        """The settings as ``--set`` gives them."""
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in self.settings.items()
        }


class Scale(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between how many replicas, whole processes, a revision has.

    ``concurrency`` is the number of requests in flight that one replica is for.
    """

    min: Annotated[int, Meta(ge=1, le=MOST)] = 1
    max: Annotated[int, Meta(ge=1, le=MOST)] = 1
    concurrency: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise ValueError(f"The key 'min' is {self.min}, more than 'max', which is {self.max}.")


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Memory, such as ``2 GiB``, and GPUs that must be free before a revision starts."""

    memory: Annotated[str, Meta(pattern=SIZE_PATTERN)] | None = None
    gpus: Annotated[int, Meta(ge=0, le=1024)] = 0

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes.

        >>> Resources(memory="1.5 GB").memory_bytes
        1500000000
        """
        found = re.fullmatch(r"([0-9.]+) ?(\w+)", self.memory or "0 MB")
        assert found is not None
        return round(float(found[1]) * _UNITS[found[2]])

    @classmethod
    def of(cls, memory_bytes: int, gpus: int = 0) -> Resources:
        """Return the resources of a number of bytes, in the first unit that gives it with six decimals.

        >>> Resources.of(2_100_000_000).memory
        '2.1 GB'
        """
        if not memory_bytes:
            return cls(gpus=gpus)
        units = [each for each, size in _UNITS.items() if memory_bytes * 10**6 % size == 0]
        unit = next((each for each in units if memory_bytes >= _UNITS[each]), "MB")
        return cls(memory=f"{round(memory_bytes / _UNITS[unit], 6):.12g} {unit}", gpus=gpus)


class Caller(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person or program with a key.

    ``limit`` is in requests a minute, ``tokens`` in tokens of language models a minute; 0 is no limit.
    """

    name: Name
    limit: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    tokens: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class Lifetime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long processes run: ``lease_hours`` without a request, and ``warm_hours`` after an update replaced them.

    After ``sleep_minutes`` without a caller the model is unloaded until the next request; 0: never.
    """

    lease_hours: Hours | None = None
    warm_hours: Hours | None = None
    sleep_minutes: Annotated[float, Meta(ge=0, le=527_040)] = 0.0


class Signer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file of the public key, beside the deployment file, that must have signed the model's files."""

    signer: Annotated[str, Meta(min_length=1, max_length=500)]


class Https(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The port by which other machines reach a deployment on a host, by TLS.

    - address: the name and the port that callers use, such as ``gpu.example.org:8443``.
    - certificate, key: PEM files, the certificate with its chain and the key without a password.
    - carried: whether these are files of this machine, which are copied to the host; else they are paths on the host.
      A relative path of a file of this machine begins at the folder of the deployment file.
    """

    address: Annotated[str, Meta(pattern=ADDRESS_PATTERN)]
    certificate: Annotated[str, Meta(min_length=1, max_length=4096)]
    key: Annotated[str, Meta(min_length=1, max_length=4096)]
    carried: bool = False

    def __post_init__(self) -> None:
        if not self.carried and not (self.certificate.startswith("/") and self.key.startswith("/")):
            raise ValueError("The keys 'certificate' and 'key' are paths on the host: begin them with '/'.")


class Traces(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Requests that become traces in MLflow: a ``sample`` of all (1), in an ``experiment``."""

    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    experiment: Annotated[str, Meta(min_length=1, max_length=500)] = EXPERIMENT


class Scorers(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scorers that look at a ``sample`` of the traces: a ``file`` beside this one with the lists scorers and judges.

    ``money_per_day`` is the most that judges may cost in a day (UTC), in the currency of their prices.
    """

    file: Annotated[str, Meta(min_length=1, max_length=4096)]
    sample: Annotated[float, Meta(gt=0, le=1)] = 1.0
    money_per_day: Annotated[float, Meta(gt=0)] | None = None


class Description(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deployment file.

    - name: the name of the deployment, which is part of its address.
    - revisions: what answers; one revision today.
    - on: the target that runs it.
    - scale: between how many replicas a revision has, by the requests in flight.
    - https: the port for other machines, on a host.
    - environment: variables of the processes.
    - secrets: names of variables whose values are kept with ``genops secrets set``.
    - callers: everybody who has a key. Other keys are revoked; without this part the keys stay as they are.
    - traces: requests and answers that become traces in MLflow; none without this part.
    - scorers: scorers of these traces; none without this part.
    - trust: the digest of the model's files that somebody reviewed, or the key that signed them.
    - rollout: how a new version gets the requests of the one before; without it, all at once.
    """

    apiVersion: Literal["genops/v1"]
    kind: Literal["Deployment"]
    name: Name
    revisions: Annotated[list[Revision], Meta(min_length=1, max_length=1)]
    on: Annotated[str, Meta(min_length=1, max_length=200)] = "this machine"
    scale: Scale = Scale()
    https: Https | None = None
    resources: Resources | None = None
    environment: Annotated[dict[Variable, Value | int], Meta(max_length=200)] = {}
    secrets: Annotated[list[Variable], Meta(max_length=100)] = []
    callers: Annotated[list[Caller], Meta(max_length=1000)] | None = None
    lifetime: Lifetime = Lifetime()
    traces: Traces | None = None
    scorers: Scorers | None = None
    trust: Annotated[str, Meta(pattern=DIGEST_PATTERN)] | Signer | None = None
    rollout: RolloutPolicy | None = None

    def __post_init__(self) -> None:
        for names, part in (
            ([each.name for each in self.callers or []], "callers"),
            ([*self.secrets, *self.environment], "secrets"),
        ):
            if twice := next((each for each in names if names.count(each) > 1), ""):
                where = "in 'callers'" if part == "callers" else "in 'secrets' and 'environment'"
                raise ValueError(f"The name {twice!r} comes twice {where}.")
        if any(each.name == "default" for each in self.callers or []):
            raise ValueError("The key 'default' is the deployment's own: give the caller another name.")
        if own := OWN_VARIABLES & {*self.secrets, *self.environment}:
            raise ValueError(f"The variable {min(own)!r} is set by GenOps Lab itself.")
        if self.scorers is not None and self.traces is None:
            raise ValueError("The key 'scorers' needs the key 'traces', such as traces: {sample: 0.05}.")
        if self.rollout is not None:
            try:
                check_policy(self.rollout)
            except InvalidRequest as error:
                raise ValueError(f"The key 'rollout': {error.message}") from error

    @property
    def revision(self) -> Revision:
        """The revision that gets the requests."""
        return self.revisions[0]
