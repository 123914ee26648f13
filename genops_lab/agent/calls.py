"""List the calls that a Lab may make, by name."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, Callable, Dict, List

from .channels import ChannelReset
from .commands import Commands
from .kernels import Kernels
from .threads import in_thread
from .units import Units

Call = Callable[[Dict[str, Any]], Awaitable[Any]]


async def _probe(params: Dict[str, Any]) -> Any:
    from .probe import probe

    return await in_thread(probe)


async def _readings(params: Dict[str, Any]) -> Any:
    from .metrics import host_reading

    return await in_thread(host_reading)


async def _stored(params: Dict[str, Any]) -> Any:
    from .storage import listing

    return await in_thread(listing)


async def _measured(params: Dict[str, Any]) -> Any:
    from .storage import measured

    path = str(params["path"])
    return await in_thread(lambda: measured(path))


async def _remove(params: Dict[str, Any]) -> Any:
    from .removal import remove

    path = str(params["path"])
    return await in_thread(lambda: remove(path))


async def _sweep(params: Dict[str, Any]) -> Any:
    from .removal import sweep

    return await in_thread(sweep)


async def _remove_trace(params: Dict[str, Any]) -> Any:
    from .lab_proxy import remove_trace

    path = str(params["path"])
    await in_thread(lambda: remove_trace(path))
    return {}


async def _marker(params: Dict[str, Any]) -> Any:
    from .tree import marker_text

    folder, name = str(params["folder"]), str(params["name"])
    return await in_thread(lambda: marker_text(folder, name))


def _of_units(units: Units) -> Dict[str, Call]:
    """Return the calls about units of each kind."""
    methods: Dict[str, Call] = {
        "start": units.start,
        "list": units.list,
        "info": units.info,
        "signal": units.signal,
        "stop": units.stop,
        "lease": units.lease,
        "forget": units.forget,
    }
    return {f"{units.kind}s.{name}": method for name, method in methods.items()}


def table(kernels: Kernels, commands: Commands) -> Dict[str, Call]:
    """Return a function per name; an answer is a JSON document, an error a :class:`ChannelReset`."""

    async def all_units(params: Dict[str, Any]) -> List[Dict[str, Any]]:
        found = await asyncio.gather(kernels.list(params), commands.list(params))
        return [info for of_kind in found for info in of_kind]

    return {
        "probe": _probe,
        "readings": _readings,
        "storage.list": _stored,
        "storage.measure": _measured,
        "storage.remove": _remove,
        "storage.sweep": _sweep,
        "traces.remove": _remove_trace,
        "folders.marker": _marker,
        "units.list": all_units,
        **_of_units(kernels),
        **_of_units(commands),
        "kernels.warm": kernels.warm,
        "kernels.log": kernels.log,
        "kernels.policy": kernels.policy,
        "kernels.keep": kernels.keep,
    }


async def answer(calls: Dict[str, Call], method: Any, params: Any) -> Any:
    """Answer a call. Raises :class:`ChannelReset` for every error."""
    call = calls.get(method) if isinstance(method, str) else None
    if call is None:
        raise ChannelReset(
            "unknown_method", f"The agent has no method {method!r}.", "It may have an older version."
        )
    try:
        return await call(params if isinstance(params, dict) else {})
    except (KeyError, TypeError, ValueError) as error:
        raise ChannelReset("invalid", f"{method}: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise ChannelReset("failed", f"{method}: {error}") from error
