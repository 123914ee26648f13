"""``genops targets free-space``: the unused folders on the hosts of a target."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.hosts.models import RemoveStored, StorageQuery, StoredItem, SweepQuery
from genops_lab.hosts.service import TargetsService
from genops_lab.kernels.storage import StorageService

from .session import Json, Session, command
from .target_argument import Name, Timeout
from .target_connection import POLL_S, connected
from .views import targets as views


def prune_target(
    name: Name,
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0, help="Keep what was used within this many days."),
    ] = 30.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Remove folders with results that were not pulled, too.")
    ] = False,
    timeout: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Remove unused environments and notebook folders from a target.

    They are environments that GenOps Lab built on the host, and copies of notebooks' folders. Environments and folders
    in use stay, and so do the Pythons of your targets. A target that is not connected is connected first.
    """
    with command(json) as session:
        target = session.call(TargetsService.get_target, name=name)
        if target.state != "up":
            connected(session, session.call(TargetsService.connect_target, name=name), timeout)
        query = StorageQuery(older_than_days=older_than, force=force)
        items = session.call(StorageService.list_target_storage, name=name, query=query).items
        go, stay = [each for each in items if not each.stays], [each for each in items if each.stays]
        removed_items, failures = ([], {}) if dry_run else _remove(session, name, go, query)
        answer = {
            "target": name,
            "dry_run": dry_run,
            "removable": go if dry_run else [],
            "removed": removed_items,
        }
        session.show(
            {**answer, "stays": stay, "failed": failures}, views.cleaned(go, stay, failures, dry_run)
        )
        if failures:
            raise Failed("; ".join(f"Cannot remove {path}: {why}" for path, why in failures.items()))


def _remove(
    session: Session, name: str, items: list[StoredItem], query: StorageQuery
) -> tuple[list[StoredItem], dict[str, str]]:
    """Return what was removed, and by path why the others were not."""
    removed_items: list[StoredItem] = []
    failures: dict[str, str] = {}
    for item in items:
        session.say(f"Removing {item.path}")
        body = RemoveStored(
            path=item.path,
            host_id=item.host_id,
            older_than_days=query.older_than_days,
            force=query.force,
        )
        try:
            removed = session.call(StorageService.remove_stored, name=name, body=body)
        except GenOpsError as error:  # such as an item that came into use meanwhile
            failures[item.path] = error.message
            continue
        removed_items.append(item)
        left, trouble = removed.left, removed.trouble
        while left:
            time.sleep(POLL_S)
            swept = session.call(
                StorageService.sweep_target, name=name, query=SweepQuery(host_id=item.host_id)
            )
            left, trouble = swept.left, swept.trouble
        if trouble:
            session.say(f"Some files of {item.path} cannot be deleted: {trouble}")
    return removed_items, failures
