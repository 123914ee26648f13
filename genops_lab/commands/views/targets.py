"""Targets as documents."""

from __future__ import annotations

import time
from typing import Any

from genops_lab.hosts.configuration import FormField
from genops_lab.hosts.models import (
    Candidate,
    HostReading,
    Preset,
    RemovedTarget,
    SavedHours,
    StoredItem,
    Target,
    TargetHost,
    TargetKind,
    TargetReport,
)
from genops_lab.hosts.providers.base import Capacity, GpuKind
from genops_lab.hosts.resources import words_of
from genops_lab.runtime.money import money_text

from ..document import Cell, Column, Document, Facts, Note, Row, Table, Tone, duration, size
from .check_steps import steps

#: The states of a connection on the screen.
_STATES: dict[str, tuple[str, Tone]] = {
    "idle": ("not connected", "dim"),
    "connecting": ("connecting", "busy"),
    "asking": ("asks a question", "busy"),
    "pending": ("waits for a host", "busy"),
    "up": ("connected", "good"),
    "down": ("disconnected", "busy"),
    "failed": ("failed", "bad"),
}


def link_cell(state: str) -> Cell:
    """Return the state of a connection in words."""
    word, tone = _STATES.get(state, (state, ""))
    return Cell(word, tone)


def kinds(found: list[TargetKind]) -> Document:
    """``targets kinds``."""
    rows: list[Row] = [
        [each.kind, each.label, field.name, _shown(field.default), _may_be(field), _administrators(field)]
        for each in found
        for field in each.fields
    ]
    columns = [
        Column("kind"),
        Column("", shrinks=True, leaves=1),
        Column("field"),
        Column("default", shrinks=True),
        Column("may be", shrinks=True, folds=True),
        Column("administrator", shrinks=True),
    ]
    note = Note("Such as: genops targets add TARGET --kind KIND --field FIELD=VALUE", "dim")
    return Document(
        [Table(columns, rows, empty="There is no such kind of target. List all: genops targets kinds"), note]
    )


def configuration(shown: Target, fields: list[FormField]) -> Document:
    """``targets show``."""
    rows: list[Row] = [
        [field.name, _shown(shown.config.get(field.name)), _may_be(field), _administrators(field)]
        for field in fields
    ]
    columns = [
        Column("field"),
        Column("value", shrinks=True),
        Column("may be", shrinks=True, folds=True),
        Column("administrator", shrinks=True),
    ]
    whose = (
        [Note("The administrator added this target. It cannot be changed or deleted here.", "dim")]
        if shown.locked
        else []
    )
    several = hosts(shown, shown.hosts).blocks if shown.allocates else []
    return Document([*target(shown).blocks, Table(columns, rows, empty=""), *several, *whose])


def hosts(of: Target, found: list[TargetHost]) -> Document:
    """``targets hosts``."""
    rows: list[Row] = [
        [
            each.host_id,
            Cell("left over", "bad") if each.left_over else link_cell(each.state),
            each.path,
            _gpus(each.reading),
            _price(of),
            _left(each) if each.left_over else _end(each) or each.message,
        ]
        for each in found
    ]
    columns = [
        Column(of.host_noun, narrowest=8),
        Column("state"),
        Column("notebook", shrinks=True),
        Column("gpus", shrinks=True),
        Column("price", right=True),
        Column("", shrinks=True),
    ]
    empty = f"{of.name} has no {of.host_noun} now. Each kernel gets one when it starts."
    notes = [
        Note(f"Stop one now: genops targets stop-host {of.name} {each.host_id}", "busy")
        for each in found
        if each.left_over
    ]
    return Document([Table(columns, rows, empty=empty), *notes])


def presets(name: str, found: list[Preset]) -> Document:
    """``targets presets``."""
    rows: list[Row] = [
        [
            each.name,
            words_of(each.resources),
            each.kernel_name,
            _usd(each.price_per_hour),
            "by your administrator" if each.locked else "",
        ]
        for each in found
    ]
    columns = [
        Column("preset"),
        Column("resources", shrinks=True),
        Column("kernel", shrinks=True),
        Column("price", right=True, leaves=1),
        Column("", leaves=2),
    ]
    empty = f"{name} has no presets. Add one: genops targets add-preset {name} --gpus 1"
    return Document([Table(columns, rows, empty=empty)])


def preset_added(name: str, preset: Preset) -> Document:
    """``targets add-preset``."""
    start = f"Choose the kernel “Python 3 ({name}: {preset.name})”, or: papermill -k {preset.kernel_name}"
    return Document([*presets(name, [preset]).blocks, Note(start, "dim")])


def preset_deleted(name: str, preset: str) -> Document:
    """``targets delete-preset``."""
    return Document([Note(f"The preset {preset} of {name} is deleted. Its kernels keep running.")])


def _end(host: TargetHost) -> str:
    """Return when the host ends, and why where that is known; empty for one without a known end."""
    if host.ends_at is None:
        return host.notice
    at = time.strftime("%H:%M", time.localtime(host.ends_at))
    ends = f"It ends at {at}, in {duration(max(host.ends_at - time.time(), 0.0))}."
    return f"{host.notice} {ends}".strip()


def _left(host: TargetHost) -> str:
    if host.release_at is None:
        return "No kernel of this machine needs it. Kernels of another machine may."
    return f"No kernel needs it. It stops in {duration(max(host.release_at - time.time(), 0.0))}."


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _may_be(field: FormField) -> str:
    if field.choices:
        return ", ".join(field.choices)
    low, high = (f"{each:g}" for each in (field.minimum or 0, field.maximum or 0))
    if field.minimum is not None and field.maximum is not None:
        return f"{low} to {high}"
    return (
        f"from {low}" if field.minimum is not None else f"up to {high}" if field.maximum is not None else ""
    )


def _administrators(field: FormField) -> str:
    if field.locked:
        return "locked"
    limits = [name for name in field.administered if name not in ("default", "locked")]
    return ", ".join(
        [*(["default"] if "default" in field.administered else []), *(["limits"] if limits else [])]
    )


def _gpus(reading: HostReading | None) -> str:
    if reading is None:
        return ""
    if not reading.gpus:
        return "unreadable" if reading.gpu_state == "error" else "none"
    names = [gpu.name or "GPU" for gpu in reading.gpus]
    first = names[0]
    free = sum(
        (gpu.memory_total_bytes or 0) - (gpu.memory_used_bytes or 0)
        for gpu in reading.gpus
        if gpu.memory_total_bytes is not None and gpu.memory_used_bytes is not None
    )
    return (f"{len(names)} x {first}" if len(names) > 1 else first) + (f", {size(free)} free" if free else "")


def _age(target: Target) -> str:
    return "" if target.reading_age_s is None else f"{duration(target.reading_age_s)} ago"


def _price(target: Target) -> str:
    return _usd(target.price_per_hour)


def _usd(price_per_hour: float | None) -> str:
    return "" if price_per_hour is None else f"{money_text(price_per_hour, 'USD', 'given')}/h"


def capacity(found: list[Target]) -> Document:
    """``targets capacity``."""
    rows: list[Row] = []
    for each in found:
        known = each.capacity or Capacity()
        waiting = "not known" if known.waiting is None else str(known.waiting)
        nothing = [("", "none" if known.gpus == [] else "not known")]
        for kind, free in [_free(gpu) for gpu in known.gpus or []] or nothing:
            rows.append([each.name, kind, free, waiting, _price(each), known.note])
    columns = [
        Column("target", shrinks=True),
        Column("gpus"),
        Column("free", right=True),
        Column("waiting", right=True),
        Column("price", right=True, leaves=1),
        Column("", shrinks=True),
    ]
    empty = "No target requests a host for each kernel. Add one: genops targets add TARGET --slurm HOST"
    return Document([Table(columns, rows, empty=empty)])


def savings(found: list[SavedHours]) -> Document:
    """``targets savings``."""
    rows: list[Row] = [
        [
            each.month,
            each.target,
            str(each.kernels),
            f"{each.hours:.1f}",
            "" if each.usd is None else f"{each.usd:,.2f}",
        ]
        for each in found
    ]
    columns = [
        Column("month"),
        Column("target", shrinks=True),
        Column("kernels", right=True),
        Column("hours", right=True),
        Column("USD", right=True),
    ]
    empty = "No idle kernel was ended. Set a limit: genops targets set TARGET --idle 30m"
    return Document([Table(columns, rows, empty=empty)])


def _free(gpu: GpuKind) -> tuple[str, str]:
    if gpu.free is None:
        return gpu.kind, "not known"
    return gpu.kind, str(gpu.free) if gpu.total is None else f"{gpu.free} of {gpu.total}"


def _host(target: Target) -> str:
    if not target.host:
        return target.where
    user = f"{target.user}@" if target.user else ""
    return f"{user}{target.host}" + (f":{target.port}" if target.port else "")


def targets(found: list[Target]) -> Document:
    """``targets list``."""
    rows: list[Row] = [
        [
            each.name,
            link_cell(each.state),
            _host(each),
            _gpus(each.reading),
            _age(each),
            "" if each.rtt_s is None else f"{each.rtt_s * 1000:.1f} ms",
            _price(each),
        ]
        for each in found
    ]
    columns = [
        Column("name", shrinks=True),
        Column("state"),
        Column("host", shrinks=True, narrowest=20),
        Column("gpus", shrinks=True, narrowest=20),
        Column("seen", leaves=2),
        Column("round trip", right=True, leaves=1),
        Column("price", right=True, leaves=3),
    ]
    empty = "There are no targets. Add one: genops targets add TARGET --ssh HOST"
    troubles = [
        Note(f"{each.name}: {each.message} {each.hint}".strip(), "busy")
        for each in found
        if each.message and each.state in ("down", "failed")
    ]
    return Document([Table(columns, rows, empty=empty), *troubles])


def target(shown: Target) -> Document:
    """``targets connect``, ``targets disconnect``."""
    return Document(
        [
            Facts(
                [
                    ("target", shown.name),
                    ("state", link_cell(shown.state)),
                    ("host", _host(shown)),
                    ("python", shown.python),
                    ("carrier", (shown.carrier_used or shown.carrier) if shown.kind == "ssh" else ""),
                    ("kernel", shown.kernel_name),
                    ("secrets", ", ".join(shown.secrets)),
                    ("price", _price(shown)),
                    ("warm kernels", _warm(shown)),
                    ("idle kernels", _idle(shown)),
                    ("gpus", _gpus(shown.reading)),
                    ("files", _files(shown)),
                    ("message", shown.message),
                    ("what to do", shown.hint),
                ]
            )
        ]
    )


def _files(target: Target) -> str:
    if not target.shares_files:
        return "" if target.shares_files is None else "the notebook's folder is copied"
    return f"each {target.host_noun} works in the folders of this machine: nothing is copied"


def _warm(target: Target) -> str:
    wanted = target.policy.warm_kernels
    if not wanted:
        return ""
    words = f"{wanted} wanted" if target.warm_ready is None else f"{target.warm_ready} of {wanted} ready"
    if target.allocates:
        price = "" if target.price_per_hour is None else f", {_price(target)} each"
        words += f", in a {target.host_noun} each, for {target.policy.warm_minutes:g} minutes at most{price}"
    return f"{words}: {target.warm_message}" if target.warm_message else words


def _idle(target: Target) -> str:
    policy = target.policy
    if policy.idle_minutes is None:
        return ""
    return (
        f"stopped after {duration(policy.idle_minutes * 60)} with GPU use up to {policy.idle_gpu_percent:g} %"
    )


def added(shown: Target) -> Document:
    """``targets add``."""
    note = Note(f"Nothing is connected yet. Test it: genops targets test {shown.name}", "dim")
    return Document([*target(shown).blocks, note])


def candidates(found: list[Candidate]) -> Document:
    """``targets discover``."""
    rows: list[Row] = [
        [
            each.alias,
            each.hostname,
            each.user,
            str(each.port or ""),
            f"genops targets add {each.name} --ssh {each.alias}",
        ]
        for each in found
    ]
    columns = [
        Column("alias", shrinks=True),
        Column("host", shrinks=True),
        Column("user"),
        Column("port", right=True),
        Column("add it"),
    ]
    return Document([Table(columns, rows, empty="Your ~/.ssh/config has no other hosts.")])


def report(shown: TargetReport) -> Document:
    """``targets test``."""
    return Document(steps(shown.steps))


def built(shown: Target, tested: TargetReport) -> Document:
    """``targets build``, ``targets install``."""
    note = Note(f"New kernels of {shown.name} use {shown.python}. Running kernels keep their Python.", "good")
    return Document([*report(tested).blocks, note])


def stopped(name: str, host: str) -> Document:
    """``targets stop-host``."""
    return Document([Note(f"{host} of {name} is stopped.")])


def removed(shown: RemovedTarget) -> Document:
    """``targets delete``."""
    return Document([Note(shown.message)])


def cleaned(
    go: list[StoredItem], stay: list[StoredItem], failures: dict[str, str], dry_run: bool
) -> Document:
    """``targets free-space``."""
    word = "would be removed" if dry_run else "removed"
    rows = [
        *(
            _row(each, Cell("not removed", "bad") if each.path in failures else Cell(word, "good"))
            for each in go
        ),
        *(_row(each, Cell(f"stays: {each.stays}", "dim")) for each in stay),
    ]
    columns = [
        Column("what"),
        Column("path", shrinks=True),
        Column("size", right=True),
        Column("unused for", right=True),
        Column("", shrinks=True),
    ]
    notes = []
    gone = [each for each in go if each.path not in failures]
    if gone:
        freed = size(sum(each.size_bytes or 0 for each in gone))
        notes.append(Note(f"{freed} would be freed." if dry_run else f"{freed} freed.", "good"))
    if any(each.forcible for each in stay):
        notes.append(
            Note("`genops pull` fetches the results. --force removes these folders without fetching.", "dim")
        )
    return Document(
        [Table(columns, rows, empty="GenOps Lab has no environments or folders on this target."), *notes]
    )


def _row(item: StoredItem, state: Cell) -> Row:
    unused = "" if item.unused_s is None else duration(item.unused_s)
    return [item.kind, item.path, size(item.size_bytes), unused, state]
