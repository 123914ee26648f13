"""Serve a Lab's orders about the deployments of this host.

Calls change them step by step and observe them. The service ``deployment`` takes the files of a revision. The Lab lists
them and the change, and the host asks for those that it does not have. Then the host takes the lock of all deployments
and says so. The Lab answers ``commit`` if it may still place them. The services ``deployment-log`` and
``deployments`` send lines of a log, and the state of a deployment whenever it changes. ``gateway`` carries a
connection to the gateway, and to no other port.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any, Awaitable, Callable, Dict, Iterator, Optional

from .channels import Channel, ChannelReset
from .deployment_gateway import GatewayRefused
from .deployments import Change, Deployments, checked_name, disk_words
from .detached import NotStarted
from .evaluations import python_here
from .free_memory import resources
from .hub_fetch import look
from .log_lines import LogFollower, tail
from .paths import state_folder
from .placing import FileStore, placed_file
from .socket_forwarding import pipe
from .threads import in_thread
from .transfer import BadTransfer, Lost, TransferChannel, document

LOOK_S = 0.5
FOLLOW_S = 0.2
_STEPS = ("start", "renew", "route", "unroute", "stop", "refuse_older")


async def call(params: Dict[str, Any]) -> Any:
    """Do what ``op`` says: a step of a change, or a question. Each may be repeated. Raises ChannelReset."""
    op = str(params["op"])
    if op in _STEPS:
        return await _step(op, params)
    if op not in _CALLS:
        raise ChannelReset("unknown_method", f"The agent has no step {op!r} of a deployment.")
    return await _CALLS[op](params)


async def serve(channel: Channel) -> None:
    """Serve a channel of one of these services. Raises ChannelReset."""
    try:
        await _SERVICES[channel.service](channel)
    except (BadTransfer, Lost, KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"{channel.service}: {error}") from error


async def _step(step: str, params: Dict[str, Any]) -> Dict[str, Any]:
    change = Change(dict(params["spec"]), int(params["generation"]))

    def work() -> None:
        with _plain_errors(change.name):
            getattr(Deployments(), step)(change)

    await in_thread(work)
    return {}


async def _delete(params: Dict[str, Any]) -> Dict[str, Any]:
    name = checked_name(params["name"])

    def work() -> None:
        with _plain_errors(name):
            Deployments().delete(name)

    await in_thread(work)
    return {}


async def _observe(params: Dict[str, Any]) -> Dict[str, Any]:
    name = checked_name(params["name"])
    return await in_thread(lambda: _seen(Deployments(), name))


def _seen(deployments: Deployments, name: str) -> Dict[str, Any]:
    """Return the state of a deployment, and when it was read: of two answers the later one counts."""
    at = time.monotonic()
    return {"at": at, "state": deployments.observe(name)}


async def _key(params: Dict[str, Any]) -> Dict[str, Any]:
    name = checked_name(params["name"])
    return {"key": await in_thread(lambda: Deployments().key(name))}


async def _ask_gateway(params: Dict[str, Any]) -> Dict[str, Any]:
    asked = dict(params["asked"])

    def work() -> Dict[str, Any]:
        with _plain_errors(str(params["name"])):
            return Deployments().gateway.ask(asked)

    return await in_thread(work)


async def _host(params: Dict[str, Any]) -> Dict[str, Any]:
    """Answer with the Python of this host, what it has free, and that this agent starts engines."""
    found = await in_thread(resources, state_folder()[0])
    return {**found, "python": await in_thread(python_here), "engines": True, "hub": True}


async def _look_at_hub(params: Dict[str, Any]) -> Dict[str, Any]:
    """Answer how many bytes of a model are missing, and how fast its hub gives them to this host."""
    files = [placed_file(each) for each in params["files"]]
    store = await in_thread(FileStore, "look", "a model", "Deploy the version again.")
    missing = await in_thread(store.missing, files, dict(params["urls"]))
    return await in_thread(look, missing, str(params["token"]))


@contextlib.contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    try:
        yield
    except NotStarted as error:
        raise ChannelReset(
            "failed", f"The scoring process of {name!r} did not start: {error}", "Test the target."
        ) from error
    except GatewayRefused as error:
        raise ChannelReset("failed", str(error), "Deploy the version again.") from error
    except OSError as error:
        raise disk_words(error, name) from error


async def place(channel: Channel) -> None:
    """Take the files of a revision. Raises ChannelReset."""
    channel.bulk = True
    talk = TransferChannel(channel)
    order = await talk.document()
    change = Change(dict(order["spec"]), int(order["generation"]))
    files, name = [placed_file(each) for each in order["files"]], change.name
    with _plain_errors(name):
        deployments = await in_thread(Deployments)
        async with deployments.placing(change):
            fresh = await in_thread(deployments.fresh, change)
            if fresh is not None:
                again = "Deploy the version again."
                store = await in_thread(FileStore, fresh.name, f"the deployment {name!r}", again)
                linked = "model" if change.spec.get("serving") else ""
                await store.receive(talk, files, str(fresh), linked, order.get("hub"))
                async with deployments.changing():
                    channel.write(document({"locked": True}))
                    if not (await talk.document()).get("commit"):
                        return
                    await in_thread(deployments.place, change)
    channel.write(document({"placed": True}))
    channel.write_eof()


async def log(channel: Channel) -> None:
    """Send the last lines of a revision's log; with ``follow`` then new ones until the revision ends."""
    params = channel.params
    name, revision, after = checked_name(params["name"]), params.get("revision"), params.get("after")
    lines = min(int(params["lines"]), 5000)
    deployments = await in_thread(Deployments)
    found = await in_thread(deployments.log_of, name, revision)
    if found is not None and not params.get("follow"):
        channel.write(document({"lines": await in_thread(tail, found[1], lines)}))
    elif found is not None:
        follower = await in_thread(LogFollower, found[1], after)
        news = [] if after is not None else await in_thread(follower.earlier, lines)
        while True:
            if news:
                channel.write(document({"lines": news, "after": follower.read_to}))
                await channel.drain()
            # Observe first: lines that were written before the end are then read after the end was seen.
            active = await in_thread(_is_active, deployments, name, found[0])
            news = await in_thread(follower.news)
            if not active and not news:
                break
            if not news:
                await asyncio.sleep(FOLLOW_S)
    channel.write_eof()


def _is_active(deployments: Deployments, name: str, revision: int) -> bool:
    for each in deployments.observe(name)["revisions"]:
        if each["number"] == revision:
            return each["state"] in ("preparing", "starting", "running", "stopping")
    return False


async def watch(channel: Channel) -> None:
    """Send the state of a deployment, at first and whenever it changes."""
    deployments = await in_thread(Deployments)
    name = checked_name(channel.params["name"])
    known: Optional[Dict[str, Any]] = None
    while True:
        found = await in_thread(_seen, deployments, name)
        if found["state"] != known:
            known = found["state"]
            channel.write(document(found))
            await channel.drain()
        await asyncio.sleep(LOOK_S)


async def gateway(channel: Channel) -> None:
    """Carry one connection to the gateway of this host. It asks for the key of the deployment."""
    deployments = await in_thread(Deployments)
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", deployments.gateway.port))
    except OSError as error:
        connection.close()
        raise ChannelReset("refused", "The gateway of the host does not answer.", "Try again.") from error
    await pipe(channel, connection)


_CALLS: Dict[str, Callable[[Dict[str, Any]], Awaitable[Any]]] = {
    "delete": _delete,
    "observe": _observe,
    "key": _key,
    "gateway": _ask_gateway,
    "host": _host,
    "hub": _look_at_hub,
}
_SERVICES: Dict[str, Callable[[Channel], Awaitable[None]]] = {
    "deployment": place,
    "deployment-log": log,
    "deployments": watch,
    "gateway": gateway,
}
