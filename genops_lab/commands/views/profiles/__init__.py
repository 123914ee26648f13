"""Profiles and traces as documents."""

from __future__ import annotations

from collections.abc import Iterable

from genops_lab.profiling.models import (
    Advice,
    Attribution,
    DeviceMemory,
    KernelMetrics,
    MeasuredKernel,
    Measurement,
    MemorySummary,
    OutOfMemory,
    Place,
    Profile,
    ProfileSummary,
    Roofline,
    Site,
    StepPrice,
)
from genops_lab.runtime.money import money_text

from ...document import (
    SHORT_ID,
    Block,
    Cell,
    Column,
    Document,
    Facts,
    Lines,
    Note,
    Row,
    Table,
    Tone,
    microseconds,
    moment,
    share,
    size,
    state_cell,
)

SHOWN_OPERATORS = 15

_TONES: dict[str, Tone] = {"high": "bad", "medium": "busy", "low": "dim"}

SHOWN_LINES = 15
SHOWN_UNATTRIBUTED = 3
#: The most characters of a path that are shown, from its end.
PATH = 40
TEXT = 50

SHOWN_ROOFLINE_OPERATORS = 10

SHOWN_SITES = 15
SHOWN_HOLDERS = 10
_CATEGORIES = {"": "unknown", "autocast": "copies for autocast", "backward": "backward pass"}


def profiles(found: list[Profile]) -> Document:
    """``profiles list``."""
    rows: list[Row] = []
    for each in found:
        first = each.summary.devices[0] if each.summary and each.summary.devices else None
        has_clock = each.summary is not None and each.summary.measured is None
        busy = share(first.busy_us, first.span_us) if first and has_clock else ""
        when = moment(each.created_at)
        rows.append([each.id, each.title, state_cell(each.state), when, busy, each.run_id[:SHORT_ID]])
    columns = [
        Column("profile"),
        Column("title", shrinks=True),
        Column("state"),
        Column("captured"),
        Column("device busy", right=True),
        Column("run"),
    ]
    return Document(
        [Table(columns, rows, empty="There are no profiles. Capture one with %%profile in a notebook.")]
    )


def profile(shown: Profile) -> Document:
    """``profiles show``."""
    facts = Facts(
        [
            ("profile", shown.id),
            ("title", shown.title),
            ("state", state_cell(shown.state)),
            ("captured", moment(shown.created_at)),
            ("run", shown.run_id),
            ("notebook", shown.notebook),
            ("trace", size(shown.size_bytes)),
            ("message", shown.message),
        ]
    )
    return Document([facts, *(summary(shown.summary).blocks if shown.summary else ())])


def summary(found: ProfileSummary) -> Document:
    """Return a summary: advice, devices, kernels, operators, lines, roofline."""
    blocks: list[Block] = []
    if found.damaged:
        blocks.append(Note(f"Only a part of the trace was read: {found.damaged}", "busy"))
    blocks += advice_blocks(found)
    if found.measured is not None:
        blocks += measured_blocks(found.measured, (each.model for each in found.devices))
    # Kernel by kernel, a device is neither busy nor idle.
    if found.measured is None or found.cpu.span_us:
        blocks.append(_devices(found))
    kernels: list[Row] = [
        [f"{device.device}", kernel.name, str(kernel.count), microseconds(kernel.total_us)]
        for device in found.devices
        for kernel in device.top_kernels
    ]
    if kernels and found.measured is None:
        columns = [
            Column("device"),
            Column("gpu kernel", shrinks=True),
            Column("count", right=True),
            Column("total", right=True),
        ]
        blocks.append(Table(columns, kernels, title="GPU kernels by time"))
    if found.operators:
        operators: list[Row] = [
            [
                each.name,
                str(each.count),
                microseconds(each.self_us),
                microseconds(each.total_us),
                microseconds(each.device_us) if each.device_us else "",
            ]
            for each in found.operators[:SHOWN_OPERATORS]
        ]
        columns = [
            Column("operator", shrinks=True),
            *(Column(number, right=True) for number in ("count", "self", "total", "device")),
        ]
        blocks.append(Table(columns, operators, title="Operators by time"))
    if found.attribution:
        blocks += lines(found.attribution, measured=found.measured is not None)
    if found.roofline:
        blocks += roofline(found.roofline)
    if found.price:
        blocks.append(Note(price_words(found.price)))
    return Document(blocks)


def _devices(found: ProfileSummary) -> Table:
    rows: list[Row] = [
        [
            f"{device.device} (rank {device.rank})",
            microseconds(device.span_us),
            microseconds(device.busy_us),
            share(device.idle_us, device.span_us),
            microseconds(device.compute_us),
            microseconds(device.comm_us),
            microseconds(device.exposed_comm_us),
            microseconds(device.memory_us),
            str(device.kernels),
        ]
        for device in found.devices
    ]
    if found.cpu.span_us:
        cpu = found.cpu
        row = ["cpu", microseconds(cpu.span_us), microseconds(cpu.busy_us), share(cpu.idle_us, cpu.span_us)]
        rows.append([*row, "", "", "", "", ""])
    numbers = ("span", "busy", "idle", "compute", "comm", "exposed", "memory", "kernels")
    return Table(
        [Column("device"), *(Column(number, right=True) for number in numbers)],
        rows,
        empty="The trace has no device and no operator.",
        title=f"{found.events:,} events",
    )


def price_words(price: StepPrice) -> str:
    """Return the price of a step, such as ``0.00012 USD a step, at 2.5 USD an hour (the price of target gpu1)``."""
    rate = f"{money_text(price.usd_per_hour, 'USD', 'given')} an hour"
    rate += f" (the price of target {price.target})" if price.target else ""
    if price.usd_a_step is None:
        return f"The trace has no steps, so no step has a price ({rate})."
    return f"{money_text(price.usd_a_step, 'USD', 'given')} a step, at {rate}"


def advice_blocks(summary: ProfileSummary) -> list[Block]:
    """Return a table of the problems, then the evidence and the suggestion of each; nothing without a problem."""
    found = summary.advice
    if not found:
        return []
    rows: list[Row] = [
        [
            Cell(each.severity, _TONES[each.severity]),
            each.code,
            each.title,
            microseconds(each.saving_us) if each.saving_us else "",
            share(each.saving_us, _whole_us(summary, each)) if each.saving_us else "",
        ]
        for each in found
    ]
    columns = [
        Column("severity"),
        Column("code"),
        Column("problem", shrinks=True),
        Column("saves at most", right=True),
        Column("of the trace", right=True),
    ]
    title = "Advice on the part of the trace that could be read" if summary.incomplete else "Advice"
    blocks: list[Block] = [Table(columns, rows, title=title)]
    for each in found:
        rank = f" (rank {each.rank})" if each.rank is not None and len(summary.ranks) > 1 else ""
        blocks.append(Note(f"{each.code}{rank}: {each.evidence}"))
        lines = [each.suggestion, *each.code_hint.splitlines()]
        lines += [f"{place.where} {(place.text or place.function).strip()}" for place in each.places]
        blocks.append(Lines([f"  {line.rstrip()}" for line in lines if line]))
    return blocks


def _whole_us(summary: ProfileSummary, of: Advice) -> float:
    """Return the time, in microseconds, that an advice's saving is a part of.

    It is the span of the longest device of the advice's rank, or of all ranks if the advice compares ranks. Without
    devices it is the host's span of a rank.
    """
    everywhere = of.rank is None or of.code == "straggler"
    spans = [each.span_us for each in summary.devices if everywhere or each.rank == of.rank]
    return max(spans, default=summary.cpu.span_us / max(1, len(summary.ranks)))


def lines(found: Attribution, *, measured: bool) -> list[Table | Note]:
    """Return the lines with most time, then the time without a line. ``measured``: from a report of Nsight Compute."""
    blocks: list[Table | Note] = []
    # If a device worked, lines without device time are left out.
    shown = [each for each in found.lines if each.device_us or not found.device_us]
    if shown:
        rows: list[Row] = [
            [
                _place(each.place),
                microseconds(each.device_us),
                share(each.device_us, found.device_us),
                microseconds(each.backward_us) if each.backward_us else "",
                microseconds(each.cpu_us),
                str(each.kernels),
                ", ".join(each.operators),
            ]
            for each in shown[:SHOWN_LINES]
        ]
        columns = [
            Column("line"),
            *(Column(number, right=True) for number in ("device", "of all", "backward", "cpu", "kernels")),
            Column("most time in", shrinks=True),
        ]
        blocks.append(Table(columns, rows, title="Lines by device time"))
    if found.device_us:
        blocks.append(Note(_covered(found, measured), "dim"))
    return blocks


def _covered(found: Attribution, measured: bool) -> str:
    if found.by == "none" and measured:
        return (
            "The report has no lines. Record with %%profile in a notebook whose kernel runs under Nsight Compute, or "
            "with ncu --call-stack."
        )
    if found.by == "none":
        return "The trace has no lines. Record with %%profile, or with with_stack=True."
    said = f"{share(found.attributed_us, found.device_us)} of the device time has a source line"
    if found.unattributed:
        most = ", ".join(each.name for each in found.unattributed[:SHOWN_UNATTRIBUTED])
        said += f"; without one: {most}"
    return f"{said}."


def _place(place: Place) -> str:
    where = place.where if len(place.where) <= PATH else f"…{place.where[1 - PATH :]}"
    if place.whole_function:
        return f"{where} {place.function}()"
    text = place.text.strip()
    return f"{where}  {text if len(text) <= TEXT else f'{text[: TEXT - 1]}…'}" if text else where


def roofline(found: Roofline) -> list[Table | Note]:
    """Return MFU, the operators with most time, and what the trace lacks for more."""
    blocks: list[Table | Note] = []
    if found.operators:
        rows: list[Row] = [
            [
                each.name,
                each.shapes,
                each.dtype,
                str(each.count),
                microseconds(each.device_us),
                f"{each.tflops:.1f}" if each.flops else "",
                f"{each.gb_per_s:,.0f}",
                share(each.share, 1) if each.bound else "",
                each.bound,
            ]
            for each in found.operators[:SHOWN_ROOFLINE_OPERATORS]
        ]
        numbers = ("count", "device", "TFLOP/s", "GB/s", "of attainable")
        columns = [
            Column("operator"),
            Column("shapes", shrinks=True),
            Column("dtype"),
            *(Column(number, right=True) for number in numbers),
            Column("bound by"),
        ]
        blocks.append(Table(columns, rows, title="Roofline"))
    figures = [f"MFU {share(found.mfu, 1)}"] if found.mfu is not None else []
    figures += [
        f"{each.model} {each.dtype}: {each.tflops:g} TFLOP/s, {each.gb_per_s:,.0f} GB/s"
        for each in found.peaks
    ]
    if figures:
        blocks.append(Note(" · ".join(figures)))
    if found.missing:
        blocks.append(Note(found.missing, "dim"))
    return blocks


def memory(found: MemorySummary) -> Document:
    """``profiles memory``."""
    blocks: list[Block] = []
    if found.damaged:
        blocks.append(Note(f"Only a part of the file was read: {found.damaged}", "busy"))
    for failure in found.out_of_memory:
        blocks += _failure(failure)
    for device in found.devices:
        blocks += _device(device)
    return Document(blocks or [Note("The file has no memory events.")])


def _device(found: DeviceMemory) -> list[Block]:
    name = "host" if found.device < 0 else f"device {found.device}"
    if found.rank is not None:
        name += f" (rank {found.rank})"
    rows: list[tuple[str, str]] = [
        ("reserved", size(found.reserved) if found.reserved else ""),
        ("allocated", size(found.allocated)),
        ("blocks", f"{found.blocks:,} in {found.segments:,} segments" if found.segments else ""),
        ("fragmentation", f"{100 * found.fragmentation:.1f} % of reserved memory" if found.segments else ""),
        ("largest free block", size(found.largest_free) if found.segments else ""),
        ("in use before the recording", size(found.before) if found.before else ""),
        ("retries", str(found.retries) if found.retries else ""),
    ]
    if found.peak:
        when = f"event {found.peak_event:,} of {found.events:,}"
        peak = f"{size(found.peak)} more, in {found.live_at_peak:,} blocks ({when})"
        rows.append(("peak in the recording", peak))
    elif found.segments:
        rows.append(("peak in the recording", "no allocation was recorded"))
    blocks: list[Block] = [Facts(rows, title=name)]
    if found.sites:
        recorded = " (allocated during the recording)" if found.before else ""
        blocks.append(_sites(f"Memory by line at the peak{recorded}", found.sites[:SHOWN_SITES], found.peak))
    if found.before_sites:
        blocks.append(_sites("Memory by line before the recording", found.before_sites, found.before))
    if any(each.category for each in found.categories):
        kinds: list[Row] = [
            [_CATEGORIES.get(each.category, each.category), size(each.bytes), share(each.bytes, found.peak)]
            for each in found.categories
        ]
        columns = [Column("kind"), Column("bytes", right=True), Column("share", right=True)]
        blocks.append(Table(columns, kinds, title="Memory by kind at the peak"))
    return blocks


def _failure(found: OutOfMemory) -> list[Block]:
    when = f" after {microseconds(found.at_us)}" if found.at_us is not None else ""
    asked = f" The request came from {_named(found.asked)}." if found.asked is not None else ""
    said = (
        f"Device {found.device} ran out of memory{when}: {size(found.wanted)} were requested, {size(found.free)} "
        f"were free on the device, {size(found.held)} were in use by this process.{asked}"
    )
    return [
        Note(said, "bad"),
        _sites("Memory by line at that time", found.holders[:SHOWN_HOLDERS], found.held),
    ]


def _sites(title: str, sites: list[Site], whole: int) -> Table:
    rows: list[Row] = [
        [_named(site), size(site.bytes), share(site.bytes, whole), f"{site.blocks:,}", site.category]
        for site in sites
    ]
    columns = [
        Column("line or operator", shrinks=True),
        *(Column(number, right=True) for number in ("bytes", "share", "blocks")),
        Column("kind"),
    ]
    return Table(columns, rows, empty="No allocation with a known line.", title=title)


def _named(site: Site) -> str:
    text = site.place.text.strip() if site.place is not None else ""
    return f"{site.name}: {text}" if text else site.name


SHOWN_KERNELS = 15
#: The most characters of a value that is a text.
SHOWN_CHARACTERS = 60


def measured_blocks(found: Measurement, models: Iterable[str]) -> list[Block]:
    """Return the kernels with most time, and how they were measured. ``models``: of the devices, "" if unknown."""
    of_ranks = len({each.rank for each in found.kernels}) > 1
    rows: list[Row] = [
        [
            *([str(each.rank)] if of_ranks else []),
            str(each.longest),
            each.name,
            each.place.where if each.place is not None else "",
            str(each.count),
            microseconds(each.total_us),
            share(each.total_us, found.total_us),
            _percent(each.compute_pct),
            _percent(each.memory_pct),
            _occupancy(each),
            each.bound,
        ]
        for each in found.kernels[:SHOWN_KERNELS]
    ]
    columns = [
        *([Column("rank", right=True)] if of_ranks else []),
        Column("number", right=True),
        Column("gpu kernel", shrinks=True),
        Column("line"),
        *(Column(name, right=True) for name in ("count", "time", "share", "compute", "memory", "occupancy")),
        Column("bound by"),
    ]
    launches = "one launch" if found.launches == 1 else f"{found.launches:,} launches"
    kernels = len(found.kernels) + found.more_kernels
    if kernels > SHOWN_KERNELS:
        launches = f"{SHOWN_KERNELS} of {kernels:,}, {launches}; --json has {len(found.kernels):,}"
    named = sorted(set(filter(None, models)))
    on = f" on {' and '.join(named)}" if named else ""
    blocks: list[Block] = [Table(columns, rows, title=f"Measured GPU kernels{on} ({launches})")]
    if found.note:
        blocks.append(Note(found.note, "dim"))
    return blocks


def metrics(found: KernelMetrics) -> Document:
    """``profiles kernel-metrics``."""
    rows: list[Row] = [
        [each.name, _value(each.value), each.unit, str(each.instances) if each.instances else ""]
        for each in found.metrics
    ]
    columns = [
        Column("metric"),
        Column("value", right=True, shrinks=True),
        Column("unit"),
        Column("instances", right=True),
    ]
    return Document(
        [
            Table(
                columns,
                rows,
                empty="The launch has no such metric.",
                title=f"Launch {found.number}: {found.name}",
            )
        ]
    )


def _percent(value: float | None) -> str:
    return "" if value is None else share(value, 100)


def _occupancy(kernel: MeasuredKernel) -> str:
    if kernel.occupancy_pct is None:
        return ""
    of = kernel.theoretical_occupancy_pct
    return share(kernel.occupancy_pct, 100) + (f" of {share(of, 100)}" if of is not None else "")


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return value if len(value) <= SHOWN_CHARACTERS else f"{value[: SHOWN_CHARACTERS - 1]}…"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.6g}"
