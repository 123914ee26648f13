"""The machine, the Lab, its health and its audit log as documents."""

from __future__ import annotations

from shlex import quote

from genops_lab.core.models import AuditPage, Diagnosis, Status
from genops_lab.hosts.machine.models import Machine
from genops_lab.kernels.nsight.models import NsightTool

from ..document import Cell, Column, Document, Facts, Note, Row, Table, moment, size, state_cell


def machine(shown: Machine) -> Document:
    """``targets show local``."""
    facts = Facts(
        [
            ("machine", shown.name),
            ("platform", shown.platform),
            ("processor", shown.cpu_model),
            ("cores", f"{shown.cpu_count:g} ({shown.cpu_percent:.0f} % in use)"),
            ("memory", f"{size(shown.memory_used_bytes)} of {size(shown.memory_total_bytes)} in use"),
            (
                "disk",
                f"{size(shown.disk_free_bytes)} of {size(shown.disk_total_bytes)} free"
                if shown.disk_total_bytes
                else "",
            ),
            ("gpus", shown.gpu_message or ("none" if not shown.gpus else "")),
        ]
    )
    if not shown.gpus:
        return Document([facts])
    rows: list[Row] = [
        [
            str(gpu.index),
            gpu.name,
            "" if gpu.utilization_percent is None else f"{gpu.utilization_percent:.0f} %",
            " / ".join(filter(None, (size(gpu.memory_used_bytes), size(gpu.memory_total_bytes)))),
            "" if gpu.temperature_c is None else f"{gpu.temperature_c:.0f} °C",
            "" if gpu.power_w is None else f"{gpu.power_w:.0f} W",
        ]
        for gpu in shown.gpus
    ]
    columns = [
        Column("gpu", right=True),
        Column("name", shrinks=True),
        *(Column(number, right=True) for number in ("use", "memory", "temperature", "power")),
    ]
    return Document([facts, Table(columns, rows)])


def nsight_tools(found: list[NsightTool]) -> Document:
    """``profiles tools``."""
    rows: list[Row] = [
        [f"Nsight {tool.product.capitalize()}", tool.version, tool.trouble or tool.path] for tool in found
    ]
    return Document(
        [Table([Column("tool"), Column("version"), Column("found", shrinks=True, folds=True)], rows)]
    )


def diagnosis(found: Diagnosis) -> Document:
    """``doctor``."""
    rows: list[Row] = [[state_cell(check.state), check.title, check.detail] for check in found.checks]
    hints = [
        Note(f"{check.title}: {check.hint}", "bad" if check.state == "error" else "busy")
        for check in found.checks
        if check.hint and check.state in ("warning", "error")
    ]
    return Document(
        [Table([Column("state"), Column("check"), Column("found", shrinks=True, folds=True)], rows), *hints]
    )


def status(shown: Status) -> Document:
    """``status``."""
    facts = Facts(
        [
            ("GenOps Lab", shown.version),
            ("MLflow", f"{shown.mlflow_uri} ({shown.mlflow_kind})"),
            ("hub", "yes" if shown.hub else "no"),
            ("features", ", ".join(shown.rooms)),
            *((f"locked: {each.name}", each.value) for each in shown.locked),
        ]
    )
    return Document([facts, *(Note(notice, "busy") for notice in shown.notices)])


def audit(page: AuditPage) -> Document:
    """``audit``."""
    rows: list[Row] = [
        [
            moment(each.at),
            each.principal,
            each.operation,
            ", ".join(map(str, each.detail.values())),
            Cell(each.outcome, "" if each.outcome == "ok" else "bad"),
        ]
        for each in page.items
    ]
    columns = [
        Column("time"),
        Column("who"),
        Column("operation"),
        Column("object", shrinks=True),
        Column("outcome"),
    ]
    notes = []
    if page.next:
        notes.append(Note(f"More: genops audit --after {quote(page.next)}", "dim"))
    if page.waiting:
        notes.append(Note(f"{page.waiting} entries are not in the shared store yet.", "dim"))
    return Document([Table(columns, rows, empty="The audit log is empty."), *notes])


def done(message: str) -> Document:
    """Return one sentence as a document."""
    return Document([Note(message)])
