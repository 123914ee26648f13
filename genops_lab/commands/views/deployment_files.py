"""Deployment files as documents."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from genops_lab.deployments.description.models import (
    AppliedDescription,
    DescribedDeployment,
    DescriptionPlan,
)
from genops_lab.deployments.models import Deployment, DeploymentChange

from ..document import Block, Column, Document, Facts, Note, Table, moment
from . import deployments


def _changes(found: Sequence[DeploymentChange], title: str) -> Table:
    rows = [[each.what, each.now or "-", each.file or "-"] for each in found]
    columns = [
        Column("what", shrinks=True, narrowest=12),
        Column("now", shrinks=True, narrowest=8),
        Column("file", shrinks=True, narrowest=8),
    ]
    return Table(columns, rows, title=title)


def plan(found: DescriptionPlan) -> Document:
    """``genops diff``, and the start of ``genops apply``."""
    blocks: list[Block] = []
    if found.changes:
        blocks.append(
            _changes(found.changes, f"{found.name}: changes" if found.exists else f"{found.name}: new")
        )
    if found.message:
        blocks.append(Note(found.message))
    if found.problem:
        blocks += [Note(f"It would be refused: {found.problem}", "bad"), Note(found.hint)]
    return Document(blocks)


def settled(applied: AppliedDescription, deployment: Deployment) -> AppliedDescription:
    """Return the answer of ``genops apply`` with the deployment as it is by now."""
    return replace(applied, deployment=deployment)


def applied(found: AppliedDescription, deployment: Deployment) -> Document:
    """``genops apply``."""
    done = "The file is applied." if found.changes else "Nothing changed: the deployment is as the file says."
    return Document([Note(done), *deployments.deployment(deployment).blocks])


def new_keys(found: AppliedDescription, *, hidden: bool) -> Document:
    """Return the keys that an application made; a notebook does not show them."""
    if not found.keys:
        return Document([])
    pairs = [(f"key {each.name}", "" if hidden else each.key) for each in found.keys]
    note = "The keys are not shown again. Send one as 'Authorization: Bearer KEY'."
    return Document([Facts(pairs), Note(note, "dim")])


def drift(found: DescribedDeployment) -> Document:
    """Return what differs between a deployment and the file that it was applied from."""
    applied_at = f"{found.file}, applied {moment(found.applied_at)}"
    if found.problem:
        return Document([Note(f"The difference from {applied_at}, is unknown: {found.problem}", "busy")])
    if not found.drift:
        return Document([Note(f"As {applied_at}, says.", "dim")])
    table = _changes(found.drift, f"Differs from {applied_at}")
    return Document([table, Note(f"Make it as the file says: genops apply {found.file}", "dim")])
