"""``genops targets clean``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from genops_lab.core.errors import Failed, GenOpsError

from .session import Json, Session, command
from .targets import POLL_S, Name, Timeout, connected, targets
from .views import storage as views

if TYPE_CHECKING:
    from genops_lab.hosts.models import StorageQuery, StoredItem


@targets.command("clean")
def clean_target(
    name: Name,
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=0, help="What was used since then stays.")
    ] = 30.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing, say what would go.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also folders with results that were not brought here.")
    ] = False,
    timeout: Timeout = 300.0,
    json: Json = False,
) -> None:
    """Remove from a target's host what nobody uses: environments that were built there, copies of folders.

    What a kernel or another process uses stays, and the interpreters of your targets. A target that is not connected
    is connected first.
    """
    with command(json) as session:
        from genops_lab.hosts.models import StorageQuery
        from genops_lab.hosts.service import TargetsService
        from genops_lab.kernels.storage import StorageService

        target = session.call(TargetsService.get_target, name=name)
        if target.state != "up":
            connected(session, session.call(TargetsService.connect_target, name=name), timeout)
        query = StorageQuery(older_than_days=older_than, force=force)
        items = session.call(StorageService.list_target_storage, name=name, query=query).items
        go, stay = [each for each in items if not each.stays], [each for each in items if each.stays]
        gone, failures = ([], {}) if dry_run else _remove(session, name, go, query)
        answer = {"target": name, "dry_run": dry_run, "removable": go if dry_run else [], "removed": gone}
        session.show(
            {**answer, "stays": stay, "failed": failures}, views.cleaned(go, stay, failures, dry_run)
        )
        if failures:
            raise Failed("; ".join(f"{path} was not removed: {why}" for path, why in failures.items()))


def _remove(
    session: Session, name: str, items: list[StoredItem], query: StorageQuery
) -> tuple[list[StoredItem], dict[str, str]]:
    """What was removed, and why the others were not, by path."""
    from genops_lab.hosts.models import RemoveStored
    from genops_lab.kernels.storage import StorageService

    gone: list[StoredItem] = []
    failures: dict[str, str] = {}
    for item in items:
        session.say(f"Removing {item.path}")
        body = RemoveStored(path=item.path, older_than_days=query.older_than_days, force=query.force)
        try:
            removed = session.call(StorageService.remove_stored, name=name, body=body)
        except GenOpsError as error:  # one that somebody began to use meanwhile must not keep the others
            failures[item.path] = error.message
            continue
        gone.append(item)
        left, trouble = removed.left, removed.trouble
        while left:
            time.sleep(POLL_S)
            swept = session.call(StorageService.sweep_target, name=name)
            left, trouble = swept.left, swept.trouble
        if trouble:
            session.say(f"Not all of its files can be deleted: {trouble}")
    return gone, failures
