"""``genops profiles`` (what the Lab keeps) and ``genops profile`` (trace files anywhere)."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from genops_lab import profiling
from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.profiling.engine.efficiency.pricing import priced
from genops_lab.profiling.models import Difference, ProfileSummary, TraceOnTarget
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
from genops_lab.profiling.report import report as report_page
from genops_lab.profiling.service import ProfilesService

from .completion import profile_ids
from .session import EXIT_INCOMPLETE, Json, Session, command
from .views import lab as lab_views
from .views import profiles as views
from .views.profiles import difference as profile_difference
from .waiting import followed
from .writing import write_new

profiles = typer.Typer(help="Captured profiles.", no_args_is_help=True)
profile = typer.Typer(help="Trace files.", no_args_is_help=True)

TRACES = (
    "Kineto traces (.json, .json.gz), exports of Nsight Systems (.sqlite) or reports of Nsight Compute (.ncu-rep), one "
    "a rank, or a folder with them."
)
UsdPerHour = Annotated[
    float | None,
    typer.Option(min=0, help="What all the traced ranks cost an hour together; gives the price of a step."),
]
Id = Annotated[str, typer.Argument(help="A profile's id.", autocompletion=profile_ids)]

_LOOK_S = 0.2
_PLACE = re.compile(r"([A-Za-z0-9][\w.-]*):(.+)\Z", re.DOTALL)


@profiles.command("list")
def list_profiles(json: Json = False) -> None:
    """List captured profiles, newest first."""
    with command(json) as session:
        found = session.every(ProfilesService.list_profiles, key="id")
        session.show(found, views.profiles(found))


@profiles.command("show")
def show_profile(profile_id: Id, usd_per_hour: UsdPerHour = None, json: Json = False) -> None:
    """Show a profile with its summary; a step has the price of the target that it ran on, or the given one."""
    with command(json) as session:
        found = session.call(ProfilesService.get_profile, profile_id=profile_id)
        if usd_per_hour is not None and found.summary is not None:
            found = replace(found, summary=priced(found.summary, usd_per_hour))
        session.show(found, views.profile(found))


@profiles.command("delete")
def delete_profile(profile_id: Id, json: Json = False) -> None:
    """Delete a profile and its trace, also one that a kernel wrote on a target; the run's artifact stays."""
    with command(json) as session:
        left = session.call(RemoteAnalysisService.delete_profile, profile_id=profile_id).left
        session.show(
            {"id": profile_id, "deleted": True, "left": left},
            lab_views.done(f"Profile {profile_id} is deleted. {left}".strip()),
        )


@profiles.command("fetch")
def fetch_trace(profile_id: Id, json: Json = False) -> None:
    """Bring the trace of a profile from the target where it lies. Interrupted, nothing of it stays."""
    with command(json) as session:
        followed(session, session.call(RemoteAnalysisService.fetch_trace, profile_id=profile_id))
        found = session.call(ProfilesService.get_profile, profile_id=profile_id)
        session.show(found, lab_views.done(f"The trace is {found.trace_path}."))


@profile.command("analyze")
def analyze(
    traces: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRACE...", help=f"{TRACES} TARGET:PATH is one on a target that is connected."
        ),
    ],
    usd_per_hour: UsdPerHour = None,
    json: Json = False,
) -> None:
    """Say where the time of a trace went: busy, idle, communication, kernels, operators, lines, roofline."""
    with command(json) as session:
        there = [place for place in map(on_target, traces) if place is not None]
        if there and len(traces) > 1:
            raise InvalidRequest(
                "A trace on a target is analysed by itself.", hint="Give one trace, or copy them here."
            )
        if there:
            summary = analyze_there(session, *there[0], usd_per_hour)
        else:
            summary = profiling.analyze(traces, usd_per_hour=usd_per_hour)
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        if summary.memory is not None and not summary.ranks:
            session.show(summary, views.memory(summary.memory))
        else:
            session.show(summary, views.summary(summary))
        if summary.ranks and not summary.events:
            session.say("Warning: The trace holds no events.")
            raise typer.Exit(EXIT_INCOMPLETE)
        _end_whole(summary)


@profile.command("memory")
def memory(
    file: Annotated[
        Path,
        typer.Argument(
            help="A memory snapshot (a pickle, or JSON), or a trace that was recorded with profile_memory."
        ),
    ],
    json: Json = False,
) -> None:
    """Say what held a device's memory: at the peak, when it was out, and what is reserved and in parts.

    A snapshot is written by torch.cuda.memory._dump_snapshot, or by `%genops memory stop` in a notebook. It is read
    without Python's pickle: nothing in it is executed.
    """
    with command(json) as session:
        found = profiling.memory(file)
        session.show(found, views.memory(found))


@profile.command("kernel")
def kernel(
    report: Annotated[Path, typer.Argument(metavar="REPORT", help="A report of Nsight Compute (.ncu-rep).")],
    number: Annotated[int, typer.Argument(min=0, help="Which of its launches, counted from 0.")],
    text: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only metrics with this in their names.")
    ] = "",
    json: Json = False,
) -> None:
    """List all metrics of a launch that Nsight Compute measured, under its own names."""
    with command(json) as session:
        found = profiling.kernel_metrics(report, number)
        wanted = [each for each in found.metrics if text.lower() in each.name.lower()]
        session.show(replace(found, metrics=wanted), views.metrics(replace(found, metrics=wanted)))


@profile.command("diff")
def diff(
    before: Annotated[
        Path, typer.Argument(metavar="BEFORE", help="A trace, or a folder with those of all ranks.")
    ],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The other one.")],
    json: Json = False,
) -> None:
    """Say what changed from one trace to another: figures, operators, kernels, lines, advice.

    Times are of a step where both traces have steps.
    """
    with command(json) as session:
        found = profiling.diff(before, after)
        session.show(found, profile_difference.difference(found))
        _end_whole(found)


@profile.command("report")
def report(
    traces: Annotated[list[Path], typer.Argument(metavar="TRACE...", help=TRACES)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML file to write; it must not be there.")
    ],
    title: Annotated[str, typer.Option(help="The page's title; by default the first trace's name.")] = "",
    json: Json = False,
) -> None:
    """Write what a trace says into one HTML file that needs no other."""
    with command(json) as session:
        summary = profiling.analyze(traces)
        write_new(output, report_page(summary, title or traces[0].name))
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        session.show({"path": str(output)}, lab_views.done(f"{output} is written."))
        _end_whole(summary)


def _end_whole(answer: ProfileSummary | Difference) -> None:
    """End with the exit code for what is damaged. Raises Exit."""
    if answer.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def on_target(trace: Path) -> tuple[str, str] | None:
    """The target and the path there; None for a file of this machine."""
    found = _PLACE.match(str(trace))
    return None if found is None or trace.exists() else (found[1], found[2])


def analyze_there(session: Session, target: str, path: str, usd_per_hour: float | None) -> ProfileSummary:
    """What a trace on a target says: the engine reads it there. The Lab keeps the profile.

    Raises Conflict for a target that is not connected, Failed where the trace cannot be read.
    """
    body = TraceOnTarget(target=target, path=path, usd_per_hour=usd_per_hour)
    profile = session.call(RemoteAnalysisService.open_on_target, body=body)
    while profile.state == "analyzing":
        time.sleep(_LOOK_S)
        profile = session.call(ProfilesService.get_profile, profile_id=profile.id)
    if profile.state == "failed" or profile.summary is None:
        raise Failed(
            profile.message or f"{target}:{path} could not be analysed.", hint="Look at it on the host."
        )
    if profile.message:
        session.say(profile.message)
    session.say(
        f"The Lab keeps it as profile {profile.id}; `genops profiles show {profile.id}` shows it again."
    )
    return profile.summary
