"""Provide a Python on the host of a target that has what a program requires: the target's own, or a new one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest

from .link.builds import build
from .providers import provider_of

if TYPE_CHECKING:
    from .async_connections import LoopConnections
    from .link.connection import HostConnection
    from .link.route import Route

_SHOWN = 8


class HostPython(msgspec.Struct, frozen=True, kw_only=True):
    """The Python of a target: its path, its version such as ``3.11``, its packages and its environment markers."""

    executable: str
    version: str
    packages: dict[str, str]
    markers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """The ingredients of an environment on a host; ``missing`` says what the Python of the target lacks.

    ``lines`` are those of a requirements.txt, ``python`` its version (empty: unknown), and ``packages`` what is needed
    beside them.
    """

    lines: list[str]
    python: str
    packages: list[str]
    missing: list[str]


def require_one_host(route: Route, what: str, hint: str) -> None:
    """Raise InvalidRequest unless a target is one host. ``what`` runs there, such as "Deployments"."""
    if provider_of(route.kind).allocates:
        raise InvalidRequest(
            f"{what} run on targets that are one host, and {route.target} requests a host for each kernel.",
            hint=hint,
        )


async def interpreter_on(
    connections: LoopConnections, link: HostConnection, host: HostPython, wanted: Requirements, *, name: str,
    project: str, build_id: str, hint: str, progress: Callable[[str], None], say: Callable[[str], None],
) -> str:  # fmt: skip
    """Return an interpreter on the host with what ``name`` requires: the target's own, or a new one.

    ``project`` names a new environment. ``progress`` gets what happens, ``say`` lines of the log, both in the Lab's
    loop. Raises Failed with the ``hint`` if the environment cannot be built.
    """
    target = link.route.target
    if not wanted.missing:
        say(f"The Python of {target} has the requirements of {name}.")
        return host.executable
    progress(f"Building the environment of {name} on {target}.")
    say(f"Missing there: {', '.join(wanted.missing[:_SHOWN])}.")
    order = {
        "id": build_id,
        "source": {
            "kind": "requirements",
            "main": "requirements.txt",
            "files": {"requirements.txt": "\n".join(wanted.lines) + "\n"},
        },
        "project": project,
        "packages": wanted.packages,
        "python": "" if wanted.python in ("", host.version) else wanted.python,
        "folder": "",
    }
    loop = asyncio.get_running_loop()

    def listener(event: dict[str, Any]) -> None:
        if event.get("away"):
            words = f"The connection to {target} is down. The environment is built there meanwhile."
            loop.call_soon_threadsafe(progress, words)
        elif event.get("back"):
            loop.call_soon_threadsafe(say, f"{target} is connected again.")
        elif words := str(event.get("step") or event.get("line") or ""):
            loop.call_soon_threadsafe(say, words)

    end = await connections.run(build(link, order, listener))
    if end["state"] != "done":
        reason = str(end.get("message") or "the build was cancelled.")
        raise Failed(
            f"{target} cannot run {name}: its environment was not built. {reason}",
            hint=str(end.get("hint") or hint),
            code="environment",
        )
    return str(end["interpreter"])
