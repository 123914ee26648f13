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


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model to add. ``url`` ends before ``/chat/completions``; ``key_secret`` is the name of a secret.

    ``litellm``: LiteLLM asks the provider, ``model`` is its name there (``anthropic/NAME``), and ``url`` may be empty.
    """

    name: EndpointName
    url: str = ""
    model: str
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
    """The model behind an endpoint, as it answered: the name and fingerprint that it returned, and its answers."""

    at: float
    model: str = ""
    fingerprint: str = ""
    answers: list[ProbeAnswer] = []
    latency_ms: float = 0.0
    usage_known: bool = True
    #: The settings that the model refused, and that the probes were then asked without.
    without: list[str] = []


class EndpointTest(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of a test. ``differences`` are those to ``first``, the probe that the endpoint was added with."""

    state: EndpointState = "untested"
    message: str = ""
    at: float = 0.0
    probe: Probe | None = None
    first: Probe | None = None
    differences: list[str] = []


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
