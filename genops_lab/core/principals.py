"""Who asks for an operation: a user, or a kernel on another host."""

from __future__ import annotations

import getpass
import os
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from .errors import NotAllowed

PrincipalKind = Literal["user", "kernel"]


@dataclass(frozen=True)
class Principal:
    """``name`` is the hub's user, else the user of this machine; of a kernel on another host its id, and ``target`` is
    where it runs.

    >>> str(Principal("kernel", "6fd4", target="gpu1"))
    'kernel:gpu1/6fd4'
    """

    kind: PrincipalKind
    name: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.target}/{self.name}" if self.target else f"{self.kind}:{self.name}"


@cache
def this_user() -> Principal:
    """Return the user of this process: the hub's, else this machine's. A token or a password names nobody."""
    try:
        return Principal("user", os.environ.get("JUPYTERHUB_USER") or getpass.getuser())
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return Principal("user", str(os.getuid()) if hasattr(os, "getuid") else "")


#: Who asked for the operation that is being done; None outside an operation.
PRINCIPAL: Final[ContextVar[Principal | None]] = ContextVar("genops_principal", default=None)


def asking_kernel() -> Principal:
    """Return the kernel on another host that asked for the operation that is being done. Raises NotAllowed."""
    found = PRINCIPAL.get()
    if found is None or found.kind != "kernel":
        raise NotAllowed(
            "Only a kernel on another host can ask for this.", hint="Ask in a cell of that kernel."
        )
    return found
