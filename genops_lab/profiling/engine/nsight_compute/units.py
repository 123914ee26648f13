"""The units of metrics, by their names: a report does not tell them, and ncu knows them by heart.

A unit is told where the name is sure about it; the words are ncu's own.
"""

from __future__ import annotations

import re

_PERCENT = re.compile(r"\.pct(?:_of_peak_\w+)?$|_pct$")
_SINGLE = {
    "launch__registers_per_thread": "register/thread",
    "launch__registers_per_thread_allocated": "register/thread",
    "launch__thread_count": "thread",
    "sm__maximum_warps_avg_per_active_cycle": "warp",
    "smsp__maximum_warps_avg_per_active_cycle": "warp",
}
_BEGINNINGS = (
    ("launch__block_dim_", "block"),
    ("launch__occupancy_limit_", "block"),
    ("launch__shared_mem_per_block", "byte/block"),
)
#: A counter without one of these (bank conflicts, wavefronts) has no unit.
_COUNTERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"__time(?:_|$)"), "nsecond"),
    (re.compile(r"(?:^|_)wavefronts|bank_conflicts"), ""),
    (re.compile(r"(?:^|_)sectors(?:_|$)"), "sector"),
    (re.compile(r"(?:^|_)requests(?:_|$)"), "request"),
    (re.compile(r"(?:^|_)bytes(?:_|$)"), "byte"),
    (re.compile(r"__cycles_(?:active|elapsed)$"), "cycle"),
    (re.compile(r"__warps_(?:active|eligible)$"), "warp"),
    (re.compile(r"__(?:sass_)?(?:thread_)?inst_(?:executed|issued)"), "inst"),
)
_ROLLED = re.compile(r"\.(?:sum|avg|min|max)(?P<rate>\.\w+)?")


def unit_of(name: str) -> str:
    """Empty where there is none, or it is not sure."""
    if _PERCENT.search(name):
        return "%"
    if name in _SINGLE:
        return _SINGLE[name]
    for beginning, unit in _BEGINNINGS:
        if name.startswith(beginning):
            return unit
    counter = name.partition(".")[0]
    rolled = _ROLLED.fullmatch(name, len(counter))
    if rolled is None:
        return ""
    unit = next((unit for form, unit in _COUNTERS if form.search(counter)), "")
    rate = rolled["rate"] or ""
    if not unit or not rate:
        return unit
    if rate == ".per_second":
        return f"{unit}/second"
    # Warps a cycle are warps.
    return unit if unit == "warp" else f"{unit}/cycle" if rate.startswith((".per_cycle", ".peak")) else ""
