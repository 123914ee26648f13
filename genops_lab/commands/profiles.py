"""``genops profiles``: profiles that the Lab keeps, and trace files anywhere."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from genops_lab import profiling
from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.kernels.nsight.service import NsightService
from genops_lab.profiling.engine.efficiency.pricing import priced
from genops_lab.profiling.models import Difference, Profile, ProfileSummary, TraceOnTarget
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
from genops_lab.profiling.report import report as report_page
from genops_lab.profiling.service import ProfilesService

from .completion import profile_ids
from .grammar import noun
from .session import EXIT_INCOMPLETE, Json, Session, command
from .views import lab as lab_views
from .views import profiles as views
from .views.profiles import difference as profile_difference
from .waiting import followed
from .writing import write_new

profiles = noun()

TRACES = (
    "Trace files of Kineto (.json, .json.gz), Nsight Systems (.sqlite) or Nsight Compute (.ncu-rep), one a rank; or a "
    "folder of them; or the id of a profile."
)
UsdPerHour = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        min=0,
        help="The price of all ranks together, in USD an hour; a step then has a price. Default: the target's price.",
    ),
]
Id = Annotated[
    str, typer.Argument(metavar="PROFILE", help="The id of a profile.", autocompletion=profile_ids)
]

_LOOK_S = 0.2
_PLACE = re.compile(r"([A-Za-z0-9][\w.-]*):(.+)\Z", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{12}")


@profiles.command("list")
def list_profiles(json: Json = False) -> None:
    """List profiles, the newest first."""
    with command(json) as session:
        found = session.every(ProfilesService.list_profiles, key="id")
        session.show(found, views.profiles(found))


@profiles.command("show")
def show_profile(profile_id: Id, usd_per_hour: UsdPerHour = None, json: Json = False) -> None:
    """Show a profile and its summary."""
    with command(json) as session:
        if Path(profile_id).exists():
            raise InvalidRequest(
                f"{profile_id} is a file, and `genops profiles show` takes the id of a profile.",
                hint=f"Analyze the file: genops profiles analyze {profile_id}",
            )
        found = session.call(ProfilesService.get_profile, profile_id=profile_id)
        if usd_per_hour is not None and found.summary is not None:
            found = replace(found, summary=priced(found.summary, usd_per_hour))
        session.show(found, views.profile(found))


@profiles.command("delete")
def delete_profile(profile_id: Id, json: Json = False) -> None:
    """Delete a profile and its trace, also a trace on a target. The artifact of the run stays."""
    with command(json) as session:
        left = session.call(RemoteAnalysisService.delete_profile, profile_id=profile_id).left
        session.show(
            {"id": profile_id, "deleted": True, "left": left},
            lab_views.done(f"Profile {profile_id} is deleted. {left}".strip()),
        )


@profiles.command("fetch")
def fetch_trace(profile_id: Id, json: Json = False) -> None:
    """Fetch the trace of a profile from its target. An interrupted fetch leaves nothing behind."""
    with command(json) as session:
        followed(session, session.call(RemoteAnalysisService.fetch_trace, profile_id=profile_id))
        found = session.call(ProfilesService.get_profile, profile_id=profile_id)
        session.show(found, lab_views.done(f"The trace is in {found.trace_path}."))


@profiles.command("tools")
def list_tools(json: Json = False) -> None:
    """List the Nsight profilers of this machine. Where one cannot be used, the list says why."""
    with command(json) as session:
        found = session.call(NsightService.list_nsight_tools)
        session.show(found, lab_views.nsight_tools(found))


@profiles.command("analyze")
def analyze(
    traces: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRACE",
            help=f"{TRACES} TARGET:PATH is a file on a connected target.",
            autocompletion=profile_ids,
        ),
    ],
    usd_per_hour: UsdPerHour = None,
    json: Json = False,
) -> None:
    """Show where the time went, by GPU kernel, operator and line."""
    with command(json) as session:
        there = [place for place in map(on_target, traces) if place is not None]
        if there and len(traces) > 1:
            raise InvalidRequest(
                "Only one trace on a target can be analyzed at a time.",
                hint="Give one trace, or copy the traces to this machine.",
            )
        summary = (
            analyze_there(session, *there[0], usd_per_hour)
            if there
            else _summary(session, traces, usd_per_hour)
        )
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        if summary.memory is not None and not summary.ranks:
            session.show(summary, views.memory(summary.memory))
        else:
            session.show(summary, views.summary(summary))
        if summary.ranks and not summary.events:
            session.say("Warning: The trace has no events.")
            raise typer.Exit(EXIT_INCOMPLETE)
        _end_whole(summary)


@profiles.command("memory")
def memory(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A memory snapshot (pickle or JSON), a trace that was recorded with profile_memory=True, or the id of "
            "a profile.",
            autocompletion=profile_ids,
        ),
    ],
    json: Json = False,
) -> None:
    """Show memory by line, at the peak and when it ran out.

    torch.cuda.memory._dump_snapshot writes a snapshot, and so does `%genops memory stop` in a notebook. Reading a
    snapshot runs no code of it.
    """
    with command(json) as session:
        found = profiling.memory(_file(session, file))
        session.show(found, views.memory(found))


@profiles.command("kernel-metrics")
def metrics(
    report: Annotated[
        Path,
        typer.Argument(
            metavar="REPORT",
            help="A report of Nsight Compute (.ncu-rep), or the id of its profile.",
            autocompletion=profile_ids,
        ),
    ],
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=0, help="The number of the launch, from 0.")],
    text: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="List only metrics whose names contain this text.")
    ] = "",
    json: Json = False,
) -> None:
    """List what Nsight Compute measured of a launch of a GPU kernel."""
    with command(json) as session:
        found = profiling.kernel_metrics(_file(session, report), number)
        wanted = [each for each in found.metrics if text.lower() in each.name.lower()]
        session.show(replace(found, metrics=wanted), views.metrics(replace(found, metrics=wanted)))


@profiles.command("diff")
def diff(
    before: Annotated[
        Path,
        typer.Argument(
            metavar="BEFORE",
            help="A trace file, a folder with the files of all ranks, or the id of a profile.",
            autocompletion=profile_ids,
        ),
    ],
    after: Annotated[
        Path,
        typer.Argument(
            metavar="AFTER", help="The later recording, given likewise.", autocompletion=profile_ids
        ),
    ],
    json: Json = False,
) -> None:
    """Compare two profiles: what became faster or slower.

    Times are of one step if both traces have steps.
    """
    with command(json) as session:
        found = profiling.diff(_file(session, before), _file(session, after))
        session.show(found, profile_difference.difference(found))
        _end_whole(found)


@profiles.command("report")
def report(
    traces: Annotated[list[Path], typer.Argument(metavar="TRACE", help=TRACES, autocompletion=profile_ids)],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The HTML file to write. It must not exist."),
    ],
    title: Annotated[
        str,
        typer.Option(metavar="TEXT", help="The title of the page. Default: the name of the first trace."),
    ] = "",
    json: Json = False,
) -> None:
    """Write the analysis as one HTML file, to read offline."""
    with command(json) as session:
        summary = _summary(session, traces)
        write_new(output, report_page(summary, title or traces[0].name))
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        session.show({"path": str(output)}, lab_views.done(f"{output} was written."))
        _end_whole(summary)


def _end_whole(answer: ProfileSummary | Difference) -> None:
    """Raise Exit with the code for a damaged trace."""
    if answer.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def _kept(session: Session, given: Path) -> Profile | None:
    """Return the profile with this id; None for a file. Raises NotFound, and Conflict while it is analyzed."""
    if given.exists() or not _ID.fullmatch(str(given)):
        return None
    try:
        profile = session.call(ProfilesService.get_profile, profile_id=str(given))
    except NotFound as error:
        raise NotFound(
            f"There is neither a file nor a profile {given}.",
            hint="List the profiles: genops profiles list",
        ) from error
    if profile.state == "analyzing":
        raise Conflict(f"Profile {given} is still being analyzed.", hint="Run this again in a moment.")
    return profile


def _file(session: Session, given: Path) -> Path:
    """Return the trace file of a profile, or the file itself. Raises Conflict for a trace on a target."""
    profile = _kept(session, given)
    if profile is None:
        return given
    if profile.trace_target:
        raise Conflict(
            f"The trace of profile {given} is on {profile.trace_target}.",
            hint=f"Fetch it first: genops profiles fetch {given}",
        )
    return Path(profile.trace_path)


def _summary(session: Session, traces: list[Path], usd_per_hour: float | None = None) -> ProfileSummary:
    """Return the summary of traces; a single profile has one already."""
    profile = _kept(session, traces[0]) if len(traces) == 1 else None
    if profile is None or profile.summary is None:
        files = [_file(session, each) for each in traces]
        return profiling.analyze(files, usd_per_hour=usd_per_hour)
    return profile.summary if usd_per_hour is None else priced(profile.summary, usd_per_hour)


def on_target(trace: Path) -> tuple[str, str] | None:
    """Return the target and the path there; None for a file of this machine."""
    found = _PLACE.match(str(trace))
    return None if found is None or trace.exists() else (found[1], found[2])


def analyze_there(session: Session, target: str, path: str, usd_per_hour: float | None) -> ProfileSummary:
    """Return the summary of a trace on a target, which is analyzed there. The Lab keeps the profile.

    Raises Conflict for a target that is not connected, Failed for a trace that cannot be read.
    """
    body = TraceOnTarget(target=target, path=path, usd_per_hour=usd_per_hour)
    profile = session.call(RemoteAnalysisService.open_on_target, body=body)
    while profile.state == "analyzing":
        time.sleep(_LOOK_S)
        profile = session.call(ProfilesService.get_profile, profile_id=profile.id)
    if profile.state == "failed" or profile.summary is None:
        raise Failed(
            f"Cannot analyze {target}:{path}. {profile.message}".rstrip(), hint="Check the file on the host."
        )
    if profile.message:
        session.say(profile.message)
    session.say(f"The Lab keeps it as profile {profile.id}: genops profiles show {profile.id}")
    return profile.summary
