"""Wire types of models that answer. Times in seconds since 1970."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from .limits import Limits, Price

EndpointName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")]
#: Where an endpoint comes from: a person's list, the administrator's, a deployment, or MLflow's AI gateway.
EndpointKind = Literal["own", "given", "deployment", "gateway"]
#: What the last test found.
EndpointState = Literal["untested", "answers", "changed", "key_refused", "refused", "away"]
#: The API of an endpoint: chat completions, or embeddings.
EndpointTask = Literal["chat", "embeddings"]
#: The steps of a test, in their order.
StepName = Literal[
    "name", "address", "tls", "key", "model", "answers", "tokens", "streams", "limits", "fingerprint"
]
#: ``optional``: the endpoint lacks something that no feature needs.
EndpointStepState = Literal["ok", "warning", "failed", "skipped", "optional"]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model to add. ``url`` ends before ``/chat/completions``; ``key_secret`` is the name of a secret.

    ``task``: chat completions, or embeddings. The URL of embeddings ends before ``/embeddings``.

    ``litellm``: LiteLLM asks the provider, ``model`` is its name there (``anthropic/NAME``), and ``url`` may be empty.
    """

    name: EndpointName
    url: str = ""
    model: str
    task: EndpointTask = "chat"
    litellm: bool = False
    key_secret: str = ""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 120.0
    limits: Limits = Limits()
    price: Price | None = None


class ProbeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to one of the probes, which are asked at temperature 0."""

    prompt: str
    text: str


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """The model behind an endpoint, as it answered: the name and fingerprint that it returned, and its answers.

    An embedding model's answer is the size of the text's embedding, and its cosines with those of the other texts.
    """

    at: float
    model: str = ""
    fingerprint: str = ""
    answers: list[ProbeAnswer] = []
    latency_ms: float = 0.0
    usage_known: bool = True
    #: The settings that the model refused, and that the probes were then asked without.
    without: list[str] = []


class EndpointStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a test: its result and, unless it is good, what to do. ``took_s`` in seconds."""

    step: StepName
    state: EndpointStepState
    message: str
    hint: str = ""
    took_s: float = 0.0


class EndpointTest(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a test. ``differences`` are those to ``first``, the probe that the endpoint was added with.

    ``steps`` are in the order of the test. The live topic ``endpoint-test:NAME`` carries them as they end.
    """

    state: EndpointState = "untested"
    message: str = ""
    at: float = 0.0
    probe: Probe | None = None
    first: Probe | None = None
    differences: list[str] = []
    steps: list[EndpointStep] = []


class ModelEndpoint(NewEndpoint, frozen=True, kw_only=True):
    """A model that answers, as it is listed. ``name`` of a deployment is ``deployment:NAME``."""

    name: str
    kind: EndpointKind
    added_at: float = 0.0
    test: EndpointTest = EndpointTest()


class TestEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Test an endpoint. ``accept`` makes its answers those that later tests compare with."""

    __test__ = False  # no class of pytest

    accept: bool = False


class ModelEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """All models that answer. ``notes`` says which sources could not be asked, and why."""

    endpoints: list[ModelEndpoint]
    notes: list[str] = []


class PriceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose price is looked up. ``model`` is its name at a provider, with or without the provider."""

    model: Annotated[str, msgspec.Meta(max_length=200)] = ""


class KnownPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The price in LiteLLM's table; None if it is not known. ``litellm``: whether LiteLLM is installed."""

    litellm: bool
    price: Price | None = None
