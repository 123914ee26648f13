"""``genops endpoints``."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.endpoints.limits import Limits, Price
from genops_lab.genai.endpoints.models import EndpointTask, NewEndpoint, TestEndpoint
from genops_lab.genai.endpoints.service import EndpointsService

from .document import Document, Note
from .grammar import noun
from .session import Json, command
from .views import endpoints as views

endpoints = noun()

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of genops endpoints list.")]


def _price(flag: str, what: str) -> Any:
    return typer.Option(flag, metavar="PRICE", min=0.0, help=f"Price of a million {what} tokens.")


@endpoints.command("list")
def list_endpoints(json: Json = False) -> None:
    """List models that answer.

    The list has your own, those of the administrator, deployments, and endpoints of MLflow's AI gateway.
    """
    with command(json) as session:
        found = session.call(EndpointsService.list_endpoints)
        session.show(found, views.listed(found))


@endpoints.command("show")
def show_endpoint(name: Name, json: Json = False) -> None:
    """Show the state, price, limits and model of an endpoint."""
    with command(json) as session:
        found = session.call(EndpointsService.get_endpoint, name=name)
        session.show(found, views.shown(found))


@endpoints.command("add")
def add_endpoint(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name for the endpoint.")],
    url: Annotated[
        str,
        typer.Option(
            "--url", metavar="URL", help="The address before /chat/completions, such as https://host/v1."
        ),
    ] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="MODEL", help="The name of the model at the endpoint.")
    ] = "",
    litellm: Annotated[
        str,
        typer.Option(
            "--litellm",
            metavar="PROVIDER/MODEL",
            help="Ask a provider through LiteLLM, such as anthropic/MODEL.",
        ),
    ] = "",
    kind: Annotated[
        EndpointTask,
        typer.Option("--kind", help="OpenAI's chat completions, or embeddings.", show_default=True),
    ] = "chat",
    key_secret: Annotated[
        str,
        typer.Option(
            "--key-secret", metavar="SECRET", help="The secret with the key, of genops secrets set SECRET."
        ),
    ] = "",
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="COUNT", min=1, help="Calls at once.", show_default=True)
    ] = 8,
    requests_per_minute: Annotated[
        float | None, typer.Option("--requests-per-minute", metavar="COUNT", help="Calls a minute at most.")
    ] = None,
    tokens_per_minute: Annotated[
        float | None, typer.Option("--tokens-per-minute", metavar="COUNT", help="Tokens a minute at most.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", metavar="COUNT", min=1, help="Tokens an evaluation at most.")
    ] = None,
    money: Annotated[
        float | None, typer.Option("--money", metavar="AMOUNT", help="Money an evaluation at most.")
    ] = None,
    price_input: Annotated[float | None, _price("--price-input", "input")] = None,
    price_output: Annotated[float | None, _price("--price-output", "output")] = None,
    price_cached: Annotated[float | None, _price("--price-cached", "cached input")] = None,
    price_reasoning: Annotated[float | None, _price("--price-reasoning", "reasoning")] = None,
    price_batch_input: Annotated[float | None, _price("--price-batch-input", "input (of a batch)")] = None,
    price_batch_output: Annotated[float | None, _price("--price-batch-output", "output (of a batch)")] = None,
    currency: Annotated[
        str, typer.Option("--currency", metavar="CODE", help="Currency of the prices.", show_default=True)
    ] = "USD",
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="The longest wait for an answer.", show_default=True
        ),
    ] = 120.0,
    json: Json = False,
) -> None:
    """Add an endpoint that speaks OpenAI's chat completions or embeddings.

    The price of a known model is looked up in the table of LiteLLM, where LiteLLM is installed.
    """
    with command(json) as session:
        if bool(litellm) == bool(model) or not (litellm or url):
            raise InvalidRequest(
                "No model is named, or two ways to it.",
                hint="Give --url URL with --model MODEL, or --litellm PROVIDER/MODEL.",
            )
        if (price_input is None) != (price_output is None):
            raise InvalidRequest(
                "A price needs both the price of input and the price of output.",
                hint="Give --price-input and --price-output.",
            )
        price = None
        if price_input is not None and price_output is not None:
            price = Price(
                input=price_input, output=price_output, cached_input=price_cached, reasoning=price_reasoning,
                batch_input=price_batch_input, batch_output=price_batch_output, currency=currency,
                date=datetime.date.today().isoformat(), source="given",
            )  # fmt: skip
        limits = Limits(
            at_once=at_once, requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute,
            tokens=tokens, money=money,
        )  # fmt: skip
        new = NewEndpoint(
            name=name,
            url=url,
            model=litellm or model,
            litellm=bool(litellm),
            task=kind,
            key_secret=key_secret,
            timeout_s=timeout_s,
            limits=limits,
            price=price,
        )
        added = session.call(EndpointsService.add_endpoint, body=new)
        lines = [Note(f"The endpoint {name} is added. Test it: genops endpoints test {name}")]
        if added.price is None:
            lines.append(Note("Its price is not known, so budgets of money cannot be kept."))
        session.show(added, Document(lines))


@endpoints.command("delete")
def delete_endpoint(name: Name, json: Json = False) -> None:
    """Delete an endpoint from your list. Its secret stays."""
    with command(json) as session:
        session.call(EndpointsService.delete_endpoint, name=name)
        session.show({"name": name, "deleted": True}, Document([Note(f"The endpoint {name} is deleted.")]))


@endpoints.command("test")
def test_endpoint(
    name: Name,
    accept: Annotated[
        bool, typer.Option("--accept", help="Compare later tests with the answers of this one.")
    ] = False,
    json: Json = False,
) -> None:
    """Test an endpoint step by step, from its name to its fingerprint.

    The test makes six short calls. The exit code is 1 where the endpoint does not answer or another model does.
    """
    with command(json) as session:
        found = session.call(EndpointsService.test_endpoint, name=name, body=TestEndpoint(accept=accept))
        session.show(found, views.tested(name, found))
    if found.state != "answers":
        raise typer.Exit(1)
