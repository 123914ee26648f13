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
    usd_per_hour: Annotated[
        float | None,
        typer.Option(
            min=0, help="What all the traced ranks cost an hour together; gives the price of a step."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Say where the time of a trace went: busy, idle, communication, kernels, operators, lines, roofline."""
    with command(json) as session:
        from genops_lab.profiler import analyze as analyze_traces

        summary = analyze_traces(traces, usd_per_hour)
        if summary.damaged:
            session.say(f"Warning: {summary.damaged}")
        session.show(summary, views.summary(summary))
