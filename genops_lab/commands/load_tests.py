"""``genops deployments load``, ``load-tests`` and ``record``."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.deployments.load_models import LoadTest, NewLoadTest, NewRecording
from genops_lab.deployments.load_tests import LoadTestsService
from genops_lab.deployments.recording import RecordingService
from genops_lab.deployments.tracing_settings import EXPERIMENT
from genops_lab.genai.traces.deployments import DeploymentTracesService
from genops_lab.genai.traces.models import NewDeploymentTraces

from .deployment_argument import Deployed
from .grammar import noun
from .session import Json, command
from .views import load_tests as views
from .waiting import followed

load_tests = noun()


@load_tests.command("load")
def load(
    deployment: Deployed,
    rate: Annotated[
        str,
        typer.Option(
            "--rate",
            metavar="FROM..TO",
            help="Requests a second: the first and the last rate, or one. Default: 10..200.",
        ),
    ] = "10..200",
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="FILE",
            help="A request as JSON, or one a line, sent in turn; - reads standard input. Default: the input example "
            "of the model.",
        ),
    ] = "",
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Send the requests of `genops deployments record`, in turn."),
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=1, help="The length of the test. Default: 30.")
    ] = 30.0,
    limit_ms: Annotated[
        float,
        typer.Option(
            "--limit-ms", metavar="MS", min=0, help="The time within which an answer counts. Default: 200."
        ),
    ] = 200.0,
    json: Json = False,
) -> None:
    """Test how many requests a second a deployment answers in time.

    Requests are sent by a schedule that does not wait for answers, at a growing rate. Latencies count from when a
    request was due. The test uses the deployment that your callers use.
    """
    with command(json) as session:
        if recorded and data:
            raise InvalidRequest("--recorded and --data are both given.", hint="Leave out one of them.")
        first, last = _rates(rate)
        body = NewLoadTest(
            first_rate=first,
            last_rate=last,
            seconds=seconds,
            limit_ms=limit_ms,
            requests=_requests(data) if data else [],
            source=data,
            recorded=recorded,
        )
        task = session.call(LoadTestsService.load_deployment, name=deployment, body=body)
        followed(session, task)
        found = session.call(LoadTestsService.list_load_tests, name=deployment)
        if not found:
            raise Failed(f"The figures of the load test of {deployment!r} were not kept.")
        session.show(found[0], views.load_test(found[0], _compared(found, found[0])))


@load_tests.command("load-tests")
def list_load_tests(
    deployment: Deployed,
    id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Show one test in full, with the one before.")
    ] = "",
    json: Json = False,
) -> None:
    """List the load tests of a deployment, or show one."""
    with command(json) as session:
        found = session.call(LoadTestsService.list_load_tests, name=deployment)
        if not id:
            session.show(found, views.load_tests(deployment, found))
            return
        test = next((each for each in found if each.id == id), None)
        if test is None:
            raise InvalidRequest(
                f"{deployment!r} has no load test {id!r}.",
                hint=f"List them: genops deployments load-tests {deployment}",
            )
        session.show(test, views.load_test(test, _compared(found, test)))


@load_tests.command("record")
def record(
    deployment: Deployed,
    requests: Annotated[
        int, typer.Option("--requests", metavar="N", help="Record so many requests. Default: 200.")
    ] = 200,
    show: Annotated[
        bool, typer.Option("--show", help="Show how many are recorded, and begin nothing.")
    ] = False,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget the recorded requests; with --traces, make no more traces."),
    ] = False,
    traces: Annotated[
        bool,
        typer.Option(
            "--traces", help="Make traces in MLflow of requests with their answers, until --forget."
        ),
    ] = False,
    sample: Annotated[
        float,
        typer.Option(
            "--sample", metavar="SHARE", help="The share that becomes traces, such as 0.05. Default: 1."
        ),
    ] = 1.0,
    experiment: Annotated[
        str,
        typer.Option("--experiment", metavar="NAME", help="The experiment of traces. Default: deployments."),
    ] = EXPERIMENT,
    json: Json = False,
) -> None:
    """Record the next requests for a load test, or as traces.

    `genops deployments load DEPLOYMENT --recorded` sends them. They stay in the memory of the deployment's gateway for
    an hour at most, and are written to no file. Nobody can read them here: they may be personal data.

    With --traces, a sample of the requests and answers become traces in MLflow while JupyterLab runs. They have the
    name of the caller's key, never the key. GenOpsLab.redact_traces says what is taken out of them.
    """
    with command(json) as session:
        if traces:
            if forget:
                session.call(DeploymentTracesService.delete_deployment_traces, name=deployment)
            elif not show:
                wish = NewDeploymentTraces(sample=sample, experiment=experiment)
                session.call(DeploymentTracesService.set_deployment_traces, name=deployment, body=wish)
            made = session.call(DeploymentTracesService.get_deployment_traces, name=deployment)
            session.show(made, views.traces(made))
            return
        if forget:
            session.call(RecordingService.delete_recording, name=deployment)
            session.say(f"No requests of {deployment} are recorded any more.")
        elif show:
            found = session.call(RecordingService.get_recording, name=deployment)
            session.show(found, views.recording(deployment, found))
        else:
            body = NewRecording(requests=requests)
            found = session.call(RecordingService.record_requests, name=deployment, body=body)
            session.show(found, views.recording(deployment, found))


def _compared(found: list[LoadTest], test: LoadTest) -> LoadTest | None:
    return next((each for each in found if each.id == test.before), None)


def _rates(text: str) -> tuple[float, float]:
    first, dots, last = text.partition("..")
    try:
        return float(first), float(last if dots else first)
    except ValueError:
        raise InvalidRequest(
            f"--rate is {text!r}.", hint="Give two rates, such as 10..200, or one, such as 50."
        ) from None


def _requests(source: str) -> list[str]:
    """Return the bodies of a file: the whole as one JSON document, or a document a line."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"Cannot read {source}: {error}.") from None
    if _is_json(text):
        return [text]
    lines = [line for line in text.split("\n") if line.strip()]
    for number, line in enumerate(lines, 1):
        if not _is_json(line):
            raise InvalidRequest(
                f"Line {number} of {source} is no JSON.",
                hint="Write a request as JSON, or one request a line.",
            )
    if not lines:
        raise InvalidRequest(f"{source} is empty.", hint="Write a request as JSON, or one request a line.")
    return lines


def _is_json(text: str) -> bool:
    try:
        json_module.loads(text)
    except ValueError:
        return False
    return True
