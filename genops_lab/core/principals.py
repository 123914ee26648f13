"""Identify the caller of an operation: a user, or a kernel on another host."""

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
    """The caller of an operation.

    ``name`` is the hub's user or the user of this machine. For a kernel on another host ``name`` is the kernel's id and
    ``target`` its target.

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
    """Return the user of this process: the hub's user, or without a hub this machine's."""
    try:
        return Principal("user", os.environ.get("JUPYTERHUB_USER") or getpass.getuser())
    except (KeyError, OSError, ImportError):  # a container's user without a name
        return Principal("user", str(os.getuid()) if hasattr(os, "getuid") else "")


#: The caller of the running operation; None outside an operation.
PRINCIPAL: Final[ContextVar[Principal | None]] = ContextVar("genops_principal", default=None)


def asking_kernel() -> Principal:
    """Return the kernel on another host that called the running operation. Raises NotAllowed for other callers."""
    found = PRINCIPAL.get()
    if found is None or found.kind != "kernel":
        raise NotAllowed(
            "Only a kernel on another host may call this operation.", hint="Call it in a cell of that kernel."
        )
    return found
