"""``genops call``: send a request to a deployment and print the answer."""

from __future__ import annotations

import http.client
import json as json_module
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound, Unavailable
from genops_lab.deployments.service import DeploymentsService
from genops_lab.runtime.serving import opener, reason

from .deployment_argument import Deployed
from .document import Document, Lines
from .grammar import noun
from .session import Json, command

calls = noun()

MAX_BYTES = 64 * 2**20


@calls.command("call")
def call(
    name: Deployed,
    data: Annotated[
        str, typer.Option("--data", metavar="JSON", help='The request, such as {"inputs": [[0, 1]]}.')
    ] = "",
    file: Annotated[
        str,
        typer.Option(
            "--file", metavar="FILE", help="A file with the request, JSON or .csv; - is standard input."
        ),
    ] = "",
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="The most seconds to wait.")
    ] = 60.0,
    json: Json = False,
) -> None:
    """Send a request to a deployment, and print its answer."""
    with command(json) as session:
        content, kind = _request(data, file)
        found = session.call(DeploymentsService.get_deployment, name=name)
        if not found.url:
            raise Conflict(
                f"{name!r} is {found.state}. {found.message}".strip(),
                hint=found.hint or f"See: genops deployments show {name}",
            )
        key = session.call(DeploymentsService.get_deployment_key, name=name).key
        answer = _answer(name, f"{found.url}/invocations", key, content, kind, timeout)
        session.show(answer, Document([Lines(json_module.dumps(answer, ensure_ascii=False).splitlines())]))


def _request(data: str, file: str) -> tuple[bytes, str]:
    """Return the body of a request and its type. Raises InvalidRequest, NotFound."""
    if bool(data) == bool(file):
        raise InvalidRequest(
            "A call needs one request.", hint="""Give --data '{"inputs": [[0, 1]]}' or --file FILE."""
        )
    try:
        content = data.encode() if data else _content(file)
    except FileNotFoundError as error:
        raise NotFound(f"The file {file} does not exist.", hint="Give a file that exists.") from error
    except OSError as error:
        raise InvalidRequest(
            f"The file {file} cannot be read: {error.strerror}.", hint="Give a file that you may read."
        ) from error
    if len(content) > MAX_BYTES:
        raise InvalidRequest("The request is larger than 64 MiB.", hint="Send it in parts.")
    if file.endswith(".csv"):
        return content, "text/csv"
    try:
        json_module.loads(content)
    except ValueError as error:
        raise InvalidRequest(
            f"The request is not JSON: {error}.", hint="""An example: {"inputs": [[0, 1]]}"""
        ) from error
    return content, "application/json"


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_BYTES + 1)


def _answer(name: str, url: str, key: str, content: bytes, kind: str, timeout_s: float) -> Any:
    headers = {"Content-Type": kind, "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, content, headers)  # noqa: S310 - the Lab's own loopback URL
    logs = f"Read its log: genops deployments logs {name}"
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return json_module.loads(answer.read())
    except urllib.error.HTTPError as error:
        text = f"{name} answered HTTP {error.code}: {reason(error.read())}"
        raise (InvalidRequest if error.code in (400, 415, 422) else Failed)(text, hint=logs) from error
    except TimeoutError as error:
        raise Unavailable(
            f"{name} did not answer within {timeout_s:g} s.", hint="Give a larger --timeout."
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(f"{name} did not answer: {error}.", hint=logs) from error
