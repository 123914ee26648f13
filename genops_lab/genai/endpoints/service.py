"""List, add, delete and test models that answer, and hand their endpoints to other features."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotAllowed, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.deployments.secrets import Secrets
from genops_lab.deployments.service import DeploymentsService
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.serving.engines.settings import COMMAND

from .backends.gateway import MlflowGateway
from .endpoint import CallFailed, Endpoint
from .endpoint_check import StepwiseTest
from .limits import Price
from .models import (
    EndpointStep,
    EndpointTask,
    EndpointTest,
    KnownPrice,
    ModelEndpoint,
    ModelEndpoints,
    NewEndpoint,
    PriceQuery,
    Probe,
    TestEndpoint,
)
from .prices import price_of
from .probes import STATES, changed, differences
from .providers import INSTALL, MISSING, is_installed
from .shared_limits import limits_folder
from .store import EndpointFile

#: The longest wait for a source of the list, and for an answer to a probe.
_SOURCE_S, _PROBE_S = 20.0, 60.0
_TASKS: dict[EndpointTask, str] = {"chat": "chat completions", "embeddings": "embeddings"}
DEPLOYMENT, GATEWAY = "deployment:", "gateway:"
#: The live topic of a test's steps; the endpoint's name follows.
TOPIC = "endpoint-test:"


class EndpointsService(Service):
    """One list of models that answer. Keys are read from secrets when a call needs them, and are in no answer."""

    def __init__(
        self, settings: Settings, deployments: DeploymentsService, mlflow: MlflowConnection, events: EventBus,
        live: LiveHub,
    ) -> None:  # fmt: skip
        self._deployments, self._mlflow, self._events, self._live = deployments, mlflow, events, live
        self._data_dir = settings.data_dir
        self._file = EndpointFile(settings.data_dir / "endpoints.json")
        self._secrets = Secrets(settings.data_dir / "secrets")
        self._given = settings.endpoints

    async def list_endpoints(self) -> ModelEndpoints:
        """List all models that answer: a person's, the administrator's, deployments, and MLflow's gateway."""
        kept = await asyncio.to_thread(self._file.read)
        notes: list[str] = []
        live = await asyncio.gather(
            self._asked("Deployments", self._of_deployments(), notes),
            self._asked("MLflow's AI gateway", self._of_gateway(), notes),
        )
        found = [*self._of_administrator(), *kept.endpoints.values(), *live[0], *live[1]]
        return ModelEndpoints(
            endpoints=[
                msgspec.structs.replace(each, test=kept.tests.get(each.name, EndpointTest()))
                for each in found
            ],
            notes=notes,
        )

    async def get_endpoint(self, name: str) -> ModelEndpoint:
        """Return one model that answers."""
        if name.startswith(DEPLOYMENT):
            found = await self._of_deployments()
        elif name.startswith(GATEWAY):
            found = await self._of_gateway()
        else:
            kept = await asyncio.to_thread(self._file.read)
            found = [*self._of_administrator(), *kept.endpoints.values()]
        for each in found:
            if each.name == name:
                tests = (await asyncio.to_thread(self._file.read)).tests
                return msgspec.structs.replace(each, test=tests.get(name, EndpointTest()))
        raise NotFound(f"There is no endpoint {name!r}.", hint="All endpoints: genops endpoints list")

    async def prices(self) -> dict[str, Price]:
        """Return the prices of models in USD, by the names that calls and answers have.

        Two endpoints with different prices for one name leave it without a price.
        """
        kept = await asyncio.to_thread(self._file.read)
        found: dict[str, Price | None] = {}
        for each in [*self._of_administrator(), *kept.endpoints.values()]:
            if each.price is None or each.price.currency != "USD":
                continue
            probe = kept.tests.get(each.name, EndpointTest()).probe
            for name in {each.model, probe.model if probe else ""} - {""}:
                known = found.setdefault(name, each.price)
                if known is None or known.rates != each.price.rates:
                    found[name] = None
        return {name: price for name, price in found.items() if price is not None}

    async def known_price(self, query: PriceQuery) -> KnownPrice:
        """Return the price of a model in LiteLLM's table, and whether LiteLLM is installed."""
        price = await asyncio.to_thread(price_of, query.model)
        return KnownPrice(litellm=is_installed(), price=price)

    async def add_endpoint(self, body: NewEndpoint) -> ModelEndpoint:
        """Add a model to a person's list. A price that is not given is looked up in LiteLLM's table."""
        _check(body)
        if any(each.name == body.name for each in self._given):
            raise Conflict(
                f"The administrator gives the endpoint {body.name!r}.", hint="Choose another name."
            )
        if body.key_secret:
            await asyncio.to_thread(self._secrets.values, [body.key_secret])
        price = body.price or await asyncio.to_thread(price_of, body.model)
        if body.limits.money is not None and price is None:
            raise InvalidRequest(
                f"The endpoint {body.name!r} has a budget of money, and the price of {body.model!r} is not known.",
                hint="Give --price-input and --price-output, or a budget of tokens: --tokens.",
            )
        new = _listed(msgspec.structs.replace(body, price=price), added_at=time.time())

        def keep() -> None:
            with self._file.changed() as kept:
                if body.name in kept.endpoints:
                    raise Conflict(
                        f"There is an endpoint {body.name!r} already.",
                        hint=f"Delete it first: genops endpoints delete {body.name}",
                    )
                kept.endpoints[body.name] = new
                kept.tests.pop(body.name, None)

        await asyncio.to_thread(keep)
        self._events.emit("endpoint", body.name)
        return new

    async def delete_endpoint(self, name: str) -> None:
        """Delete a model from a person's list; idempotent. Its secret stays."""
        if name.startswith((DEPLOYMENT, GATEWAY)) or any(each.name == name for each in self._given):
            raise NotAllowed(
                f"The endpoint {name!r} is not in your list.",
                hint="A deployment, MLflow's gateway or the administrator's configuration gives it.",
            )

        def drop() -> None:
            with self._file.changed() as kept:
                kept.endpoints.pop(name, None)
                kept.tests.pop(name, None)

        await asyncio.to_thread(drop)
        self._events.emit("endpoint", name)

    async def test_endpoint(self, name: str, body: TestEndpoint) -> EndpointTest:
        """Test an endpoint step by step with six short calls, keep its answers, and say what differs from the first.

        The state is in the answer, also where the endpoint does not answer. ``accept`` takes the answers as the first.
        """
        kept = await self.get_endpoint(name)
        found = await self._tried(kept, accept=body.accept)

        def keep() -> None:
            with self._file.changed() as content:
                content.tests[name] = found

        await asyncio.to_thread(keep)
        self._events.emit("endpoint", name)
        return found

    async def endpoint(self, name: str, task: EndpointTask = "chat") -> Endpoint:
        """Return an endpoint with its key, for a feature that asks it. The key must be in no answer, event or log."""
        found = await self.get_endpoint(name)
        if found.task != task:
            raise InvalidRequest(
                f"The endpoint {name!r} is for {_TASKS[found.task]}, and {_TASKS[task]} are needed.",
                hint="Name another one: genops endpoints list",
            )
        return await self._connected(found)

    async def _tried(self, kept: ModelEndpoint, accept: bool) -> EndpointTest:
        before = kept.test

        def tell(steps: list[EndpointStep]) -> None:
            self._live.publish(f"{TOPIC}{kept.name}", EndpointTest(steps=steps))

        test = StepwiseTest(kept, tell)
        try:
            now = await test.run(self._connected(kept), accept=accept, longest_s=_PROBE_S)
        except (CallFailed, GenOpsError) as error:
            message = error.message
            if isinstance(error, GenOpsError):
                message = f"{message} {error.hint}".strip()
            if isinstance(error, CallFailed):
                state = STATES.get(error.kind, "away")
            else:  # an endpoint that others use may answer as before
                state = before.state if error.code == "limits_in_use" else "away"
            return EndpointTest(
                state=state,
                message=message, at=time.time(), probe=before.probe, first=before.first, steps=test.steps,
            )  # fmt: skip
        first: Probe = now if accept or before.first is None else before.first
        return EndpointTest(
            state="changed" if changed(first, now) else "answers", at=now.at, probe=now, first=first,
            differences=differences(first, now), steps=test.steps,
        )  # fmt: skip

    async def _connected(self, kept: ModelEndpoint) -> Endpoint:
        key, url = "", kept.url
        if kept.kind == "deployment":
            key = (await self._deployments.get_deployment_key(kept.name.removeprefix(DEPLOYMENT))).key
        elif kept.kind == "gateway":
            url, key = await self._mlflow.http_address()
            url += "/gateway/mlflow/v1"
        elif kept.key_secret:
            found = await asyncio.to_thread(self._secrets.values, [kept.key_secret])
            key = found[kept.key_secret].strip()
        return Endpoint(
            name=kept.name, url=url, model=kept.model, key=key, timeout_s=kept.timeout_s, limits=kept.limits,
            price=kept.price, litellm=kept.litellm, task=kept.task,
            limits_folder=limits_folder(self._data_dir, kept.name),
        )  # fmt: skip

    def _of_administrator(self) -> list[ModelEndpoint]:
        return [_listed(each, kind="given") for each in self._given]

    async def _of_deployments(self) -> list[ModelEndpoint]:
        """Return the language models that run, of their first thousand."""
        from genops_lab.core.paging import PageQuery

        page = await self._deployments.list_deployments(PageQuery(limit=1000))
        return [
            ModelEndpoint(
                name=DEPLOYMENT + each.name, kind="deployment", url=f"{each.url}/v1", model=each.name,
                added_at=each.created_at,
                task="embeddings" if each.serving.settings.get("embeddings", "").lower() == "true" else "chat",
            )
            for each in page.items
            if each.url and each.serving is not None and each.serving.engine != COMMAND
        ]  # fmt: skip

    async def _of_gateway(self) -> list[ModelEndpoint]:
        found = await self._mlflow.call(MlflowGateway.list_endpoints)
        return [
            ModelEndpoint(
                name=GATEWAY + each.name, kind="gateway", url=f"{self._mlflow.shown_uri} ({', '.join(each.models)})",
                model=each.name, added_at=each.created_at,
            )
            for each in found
        ]  # fmt: skip

    async def _asked(
        self, source: str, asked: Awaitable[list[ModelEndpoint]], notes: list[str]
    ) -> list[ModelEndpoint]:
        """Return what a source lists. One that does not answer costs a note, not the list."""
        try:
            return await asyncio.wait_for(asked, _SOURCE_S)
        except asyncio.TimeoutError:
            notes.append(f"{source} did not answer within {_SOURCE_S:.0f} s.")
        except GenOpsError as error:
            notes.append(f"{source} cannot be listed: {error.message}")
        return []


def _listed(given: NewEndpoint, **more: Any) -> ModelEndpoint:
    fields = {name: getattr(given, name) for name in NewEndpoint.__struct_fields__}
    return ModelEndpoint(**fields, **{"kind": "own", **more})


def _check(body: NewEndpoint) -> None:
    """Raise InvalidRequest for an address that cannot be asked, or that has a key in it."""
    if body.litellm and not is_installed():
        raise Failed(MISSING, hint=INSTALL)
    if body.litellm and body.task == "embeddings":
        raise InvalidRequest(
            "LiteLLM is not asked for embeddings here.",
            hint="Give an endpoint with OpenAI's /embeddings: --url URL --model MODEL --kind embeddings",
        )
    if body.litellm and "/" not in body.model:
        raise InvalidRequest(
            f"{body.model[:200]!r} names no provider.",
            hint="Give the provider and the model, such as anthropic/MODEL.",
        )
    if body.litellm and not body.url:
        return
    parts = urlsplit(body.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(
            f"{body.url[:200]!r} is not the address of an endpoint.",
            hint="Give what stands before /chat/completions or /embeddings, such as https://api.example.com/v1",
        )
    if parts.username or parts.password or parts.query:
        raise InvalidRequest(
            "The address of an endpoint must have no user, password or query.",
            hint="Keep the key as a secret: genops secrets set NAME, then --key-secret NAME",
        )
    for path in ("/chat/completions", "/embeddings"):
        if parts.path.rstrip("/").endswith(path):
            raise InvalidRequest(f"The address ends with {path}.", hint=f"Leave out {path}: it is added.")
    if not body.model.strip():
        raise InvalidRequest("The endpoint has no model.", hint="Give the model's name at the endpoint.")
