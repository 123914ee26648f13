"""Say in plain words what a reader of live scores must know."""

from __future__ import annotations

from .models import OnlineScorers


def sentences(shown: OnlineScorers) -> list[str]:
    """Return what the figures alone do not say: the sample, what is missing, and judges that nobody checked."""
    found = [
        f"{shown.sampled:,} of {shown.seen:,} traces are in the sample of {100 * shown.sample:g} %. "
        "The id of a trace decides, so chance chose them."
    ]
    if not shown.traced:
        found.append(
            f"No request becomes a trace now. Make traces: genops deployments record {shown.deployment} --traces"
        )
    elif shown.traced < 1:
        found.append(f"The traces themselves are {100 * shown.traced:g} % of the requests.")
    if shown.state == "paused":
        found.append(f"Scoring is paused. Go on: genops traces score {shown.deployment} --resume")
    if shown.budget_used:
        found.append("The budget of this day (UTC) is used. Judges go on at 00:00 UTC.")
    for each in shown.scorers:
        if each.problem:
            found.append(f"Traces wait for the scorer {each.scorer}: {each.problem}")
        if each.left_out:
            found.append(
                f"The scorer {each.scorer} left out {each.left_out:,} traces after a day's budget was used. "
                "Its mean says nothing about them."
            )
        if each.calibrated is False:
            found.append(each.calibration)
        if each.tokens and each.money is None:
            found.append(f"The cost of the judge {each.judge} is unknown: it has no price.")
    return found
