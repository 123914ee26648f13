"""``genops profiles`` (what the Lab keeps) and ``genops profile`` (trace files anywhere)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .completion import profile_ids
from .session import Json, command
from .views import lab as lab_views
from .views import profiles as views

profiles = typer.Typer(help="Captured profiles.", no_args_is_help=True)
profile = typer.Typer(help="Trace files.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="A profile's id.", autocompletion=profile_ids)]


@profiles.command("list")
def list_profiles(json: Json = False) -> None:
    """List captured profiles, newest first."""
    with command(json) as session:
        from genops_lab.profiler.service import ProfilesService

        found = session.call(ProfilesService.list_profiles)
        session.show(found, views.profiles(found))


@profiles.command("show")
def show_profile(profile_id: Id, json: Json = False) -> None:
    """Show a profile with its summary."""
    with command(json) as session:
        from genops_lab.profiler.service import ProfilesService

        found = session.call(ProfilesService.get_profile, profile_id=profile_id)
        session.show(found, views.profile(found))


@profiles.command("delete")
def delete_profile(profile_id: Id, json: Json = False) -> None:
    """Delete a profile and its trace; the run's artifact stays."""
    with command(json) as session:
        from genops_lab.profiler.service import ProfilesService

        session.call(ProfilesService.delete_profile, profile_id=profile_id)
        session.show({"id": profile_id, "deleted": True}, lab_views.done(f"Profile {profile_id} is deleted."))


@profile.command("analyze")
def analyze(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Kineto traces (.json, .json.gz), one a rank.")
    ],
    json: Json = False,
) -> None:
    """Say where the time of a trace went: busy, idle, communication, kernels, operators."""
    with command(json) as session:
        from genops_lab.profiler import analyze as analyze_traces

        summary = analyze_traces(traces)
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        session.show(summary, views.summary(summary))


@profile.command("report")
def report(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE...", help="Kineto traces (.json, .json.gz), one a rank.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The HTML file to write; it must not be there.")
    ],
    title: Annotated[str, typer.Option(help="The page's title; by default the first trace's name.")] = "",
    json: Json = False,
) -> None:
    """Write what a trace says into one HTML file that needs no other."""
    with command(json) as session:
        from genops_lab.profiler import analyze as analyze_traces
        from genops_lab.profiler.report import report as report_page

        from .writing import write_new

        write_new(output, report_page(analyze_traces(traces), title or traces[0].name))
        session.show({"path": str(output)}, lab_views.done(f"{output} is written."))
