"""Kernels that ran when the last Lab of this user was there: attached to whenever their host answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

from ...core.errors import GenOpsError
from ...core.paths import private_dir
from ...hosts.link.errors import LinkError
from ...hosts.link.state import RemoteError
from .client import RemoteKernelClient
from .state import KernelBusy

log = logging.getLogger("genops_lab")

#: Trying these again by itself would ask anew, or lock the account.
_NEED_SOMEBODY = ("host_key", "login")
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Keys:
    """The keys that kernels sign with: made of a secret of this user's, so that a later Lab knows a kernel's key
    before its host answers. ``folder``: GenOps' data directory."""

    def __init__(self, folder: Path) -> None:
        self._file = private_dir(folder / "remote") / "secret"
        self._secret: bytes | None = None

    def of(self, kernel_id: str) -> bytes:
        """A kernel's key, as Jupyter writes it into connection files."""
        if self._secret is None:
            self._secret = _read_or_make(self._file)
        return hmac.new(self._secret, kernel_id.encode(), hashlib.sha256).hexdigest().encode()


def _read_or_make(file: Path) -> bytes:
    with contextlib.suppress(FileNotFoundError):
        return file.read_bytes()
    temporary = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(secrets.token_bytes(32))
    try:
        with contextlib.suppress(FileExistsError):  # another process of this user was first
            os.link(temporary, file)
    finally:
        temporary.unlink()
    return file.read_bytes()


async def attach_when_it_answers(
    bridge: RemoteKernelClient, attach: Callable[[RemoteKernelClient], Awaitable[None]]
) -> None:
    """Connect and attach, again and again while the host is away. A login that needs somebody waits for them."""
    failures = 0
    while not bridge.closed and bridge.state.state not in ("ended", "taken", "connected"):
        try:
            await bridge.link.up()
            await attach(bridge)
            return
        except KernelBusy as error:
            bridge.failed(error)
            return
        except RemoteError as error:
            if error.code in ("ended", "not_found"):
                bridge.end(None, error.message)
                return
            reason, waits = error.message, False
        except GenOpsError as error:
            reason, waits = error.message, isinstance(error, LinkError) and error.step in _NEED_SOMEBODY
        bridge.away(reason)
        log.info("Kernel %s on %s: %s", bridge.kernel_id, bridge.link.route.target, reason)
        pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
        failures += 1
        changed = asyncio.ensure_future(bridge.link.changed())
        try:
            while waits and not bridge.link.is_up and not bridge.closed:
                await bridge.link.changed()
            await asyncio.wait([changed], timeout=pause_s)
        finally:
            changed.cancel()
