"""Memory of a device's allocator, as a person sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...document import Block, Column, Document, Facts, Note, Row, Table, microseconds, share, size

if TYPE_CHECKING:
    from genops_lab.profiling.models import DeviceMemory, MemorySummary, OutOfMemory, Site

SHOWN_SITES = 15
SHOWN_HOLDERS = 10
_CATEGORIES = {"": "not told by the frames", "autocast": "copies for autocast", "backward": "backward pass"}


def memory(found: MemorySummary) -> Document:
    """``profile memory``."""
    blocks: list[Block] = []
    if found.damaged:
        blocks.append(Note(f"Not all of it could be read: {found.damaged}", "busy"))
    for failure in found.out_of_memory:
        blocks += _failure(failure)
    for device in found.devices:
        blocks += _device(device)
    return Document(blocks or [Note("It tells of no memory.")])


def _device(found: DeviceMemory) -> list[Block]:
    name = "host" if found.device < 0 else f"device {found.device}"
    if found.rank is not None:
        name += f" (rank {found.rank})"
    rows: list[tuple[str, str]] = [
        ("reserved", size(found.reserved) if found.reserved else ""),
        ("allocated", size(found.allocated)),
        ("blocks", f"{found.blocks:,} in {found.segments:,} segments" if found.segments else ""),
        ("fragmentation", f"{100 * found.fragmentation:.1f} % of what is reserved" if found.segments else ""),
        ("largest free block", size(found.largest_free) if found.segments else ""),
        ("held before the recording", size(found.before) if found.before else ""),
        ("retries", str(found.retries) if found.retries else ""),
    ]
    if found.peak:
        when = f"event {found.peak_event:,} of {found.events:,}"
        peak = f"{size(found.peak)} more, in {found.live_at_peak:,} blocks ({when})"
        rows.append(("peak while recorded", peak))
    elif found.segments:
        rows.append(("peak while recorded", "nothing was recorded"))
    blocks: list[Block] = [Facts(rows, title=name)]
    if found.sites:
        recorded = " (of what was allocated while it was recorded)" if found.before else ""
        blocks.append(_sites(f"Who held it at the peak{recorded}", found.sites[:SHOWN_SITES], found.peak))
    if found.before_sites:
        blocks.append(_sites("Who held it before the recording", found.before_sites, found.before))
    told = [each for each in found.categories if each.category]
    if told:
        kinds: list[Row] = [
            [_CATEGORIES.get(each.category, each.category), size(each.bytes), share(each.bytes, found.peak)]
            for each in found.categories
        ]
        columns = [Column("what"), Column("bytes", right=True), Column("share", right=True)]
        blocks.append(Table(columns, kinds, title="What it was at the peak"))
    return blocks


def _failure(found: OutOfMemory) -> list[Block]:
    when = f" after {microseconds(found.at_us)}" if found.at_us is not None else ""
    asked = f" It was asked for by {_named(found.asked)}." if found.asked is not None else ""
    said = (
        f"Device {found.device} was out of memory{when}: {size(found.wanted)} were wanted, {size(found.free)} "
        f"were free on the device, {size(found.held)} were held here.{asked}"
    )
    return [Note(said, "bad"), _sites("Who held it then", found.holders[:SHOWN_HOLDERS], found.held)]


def _sites(title: str, sites: list[Site], whole: int) -> Table:
    rows: list[Row] = [
        [_named(site), size(site.bytes), share(site.bytes, whole), f"{site.blocks:,}", site.category]
        for site in sites
    ]
    columns = [
        Column("line or operator", shrinks=True),
        *(Column(number, right=True) for number in ("bytes", "share", "blocks")),
        Column("what"),
    ]
    return Table(columns, rows, empty="Nobody held any that is known.", title=title)


def _named(site: Site) -> str:
    text = site.place.text.strip() if site.place is not None else ""
    return f"{site.name}: {text}" if text else site.name
