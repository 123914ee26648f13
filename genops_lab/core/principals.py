"""Who asks for an operation: a user, or a kernel on another host."""

from __future__ import annotations

import getpass
import os
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal


@dataclass(frozen=True)
class Principal:
    """``name`` is the hub's user, else the user of this machine; of a kernel on another host its target and id.

    >>> str(Principal("kernel", "gpu1/6fd4"))
    'kernel:gpu1/6fd4'
    """

    kind: Literal["user", "kernel"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@cache
def this_user() -> Principal:
    """Return the user of this process: the hub's, else this machine's. A token or a password names nobody."""
    try:
        return Principal("user", os.environ.get("JUPYTERHUB_USER") or getpass.getuser())
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return Principal("user", str(os.getuid()) if hasattr(os, "getuid") else "")


#: Who asked for the operation that is being done; None outside an operation.
PRINCIPAL: Final[ContextVar[Principal | None]] = ContextVar("genops_principal", default=None)
