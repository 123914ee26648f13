"""Kernels on targets as documents."""

from __future__ import annotations

from genops_lab.hosts.models import AttachedKernel, KernelLog, RemoteKernel, TargetKernels

from ..document import (
    SHORT_ID,
    Column,
    Document,
    Facts,
    Lines,
    Note,
    Row,
    Table,
    duration,
    moment,
    size,
    state_cell,
)


def _attached(kernel: RemoteKernel) -> str:
    if kernel.attached is None:
        return "no Lab"
    return kernel.attached.label or kernel.attached.client[:SHORT_ID]


def _does(kernel: RemoteKernel) -> str:
    if kernel.state != "running":
        return kernel.reason
    left = kernel.idle.ends_in_s if kernel.idle is not None else None
    return kernel.execution_state if left is None else f"idle, stops in {duration(left)}"


def kernels(found: list[TargetKernels]) -> Document:
    """``kernels list``."""
    rows: list[Row] = [
        [
            each.target,
            each.kernel_id[:SHORT_ID],
            state_cell(each.state),
            _does(each),
            each.notebook,
            "" if each.state == "ended" else _attached(each),
            moment(each.started_at),
        ]
        for place in found
        for each in place.kernels
    ]
    columns = [
        Column("target", shrinks=True),
        Column("kernel"),
        Column("state"),
        Column("activity", shrinks=True),
        Column("notebook", shrinks=True, narrowest=24),
        Column("attached"),
        Column("started", leaves=1),
    ]
    away = [Note(f"{place.target}: {place.message}", "dim") for place in found if not place.connected]
    empty = "No kernel runs on the connected targets."
    return Document([Table(columns, rows, empty=empty), *away])


def kernel(shown: RemoteKernel) -> Document:
    """``kernels stop``."""
    return Document(
        [
            Facts(
                [
                    ("kernel", shown.kernel_id),
                    ("target", shown.target),
                    ("state", state_cell(shown.state)),
                    ("reason", shown.reason),
                    ("notebook", shown.notebook),
                    ("started", moment(shown.started_at)),
                    ("ended", moment(shown.ended_at)),
                    ("outputs on host", size(shown.journal_bytes)),
                ]
            )
        ]
    )


def attached(shown: AttachedKernel) -> Document:
    """``kernels attach``."""
    facts = [("kernel", shown.kernel_id), ("target", shown.target), ("notebook", shown.path)]
    return Document([Facts(facts), Note(shown.message)])


def log(shown: KernelLog) -> Document:
    """``kernels logs``."""
    return Document([Lines(shown.text.splitlines())] if shown.text else [Note("The log is empty.", "dim")])
