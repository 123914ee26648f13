"""Say before a rollout what the traffic of a deployment can show in its time."""

from __future__ import annotations

from genops_lab.statistics.streams import rows_to_exclude

from .policy import RolloutPolicy, seconds
from .rollout_models import RolloutOutlook

#: A rate from fewer requests says little about those to come.
_FEW = 20


def outlook(policy: RolloutPolicy, requests: int, failures: int, over_s: float) -> RolloutOutlook:
    """Return the outlook from the requests of the last ``over_s`` seconds.

    >>> policy = RolloutPolicy(lasts="1h")
    >>> len(outlook(policy, 36_000, 360, 3600.0).lines)
    5
    """
    if policy.kind == "replace":
        return RolloutOutlook(requests_per_hour=0.0, lines=[])
    if policy.kind == "blue-green":
        text = "The new revision gets no requests until a person promotes it."
        return RolloutOutlook(requests_per_hour=0.0, lines=[text])
    if requests < _FEW or over_s <= 0:
        text = f"{requests} requests are too few to say what the rollout can show in {policy.lasts}."
        return RolloutOutlook(requests_per_hour=0.0, lines=[text])
    rate_s, failing = requests / over_s, failures / requests
    lines = [
        f"{_count(3600 * rate_s)} requests an hour, {failing:.2%} of them failed, in the last {time(over_s)}."
    ]
    if policy.kind == "shadow":
        lines.append(
            f"About {_count(36 * rate_s * policy.share)} of them an hour are copied to the new revision."
        )
        return RolloutOutlook(requests_per_hour=3600 * rate_s, lines=lines)
    judged = [each for each in policy.all_steps if each.traffic < 100]
    total_s, most_s = 0.0, seconds(policy.lasts)
    for at, step in enumerate(judged):
        coming = judged[at + 1].traffic if at + 1 < len(judged) else 100.0
        margin, share = min(policy.failures * 100 / coming, 0.99), step.traffic / 100
        rows = rows_to_exclude(failing, margin, share, policy.alpha)
        rows = max(rows, round(step.requests / share)) if policy.unit == "request" else rows
        need_s = max(rows / rate_s, seconds(step.time)) + seconds(policy.warm_up)
        total_s += need_s
        lines.append(
            f"Step {at + 1} ({step.traffic:g} % of the requests) needs about {time(need_s)}: then a rise of the "
            f"failures by {points(margin)} is excluded."
        )
    if policy.kind == "canary" and seconds(policy.watch):
        lines.append(
            f"Then it is watched for {time(seconds(policy.watch))}: harm that begins late rolls it back."
        )
    if total_s > most_s:
        lines.append(
            f"All steps need about {time(total_s)}, and the rollout lasts {policy.lasts} at most: it will be held. "
            "Allow more time, more traffic in the first steps, or a wider margin."
        )
    if policy.unit != "request":
        lines.append(
            "Each unit that stays counts once: the times hold if every request came from another one."
        )
    return RolloutOutlook(requests_per_hour=3600 * rate_s, lines=lines)


def points(margin: float) -> str:
    """Return a difference of shares in words.

    >>> points(0.01), points(0.025)
    ('1 point', '2.5 points')
    """
    found = f"{100 * margin:g}"
    return f"{found} point" if found == "1" else f"{found} points"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def time(number_s: float) -> str:
    """Return a time in words of two digits.

    >>> [time(each) for each in (12, 600, 90_000)]
    ['12 s', '10 min', '25 h']
    """
    if number_s < 120:
        return f"{number_s:.0f} s"
    return f"{number_s / 60:.0f} min" if number_s < 7200 else f"{number_s / 3600:.0f} h"
