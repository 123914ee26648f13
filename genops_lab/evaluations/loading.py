"""Deployments, a package above this one, give evaluations checked files and environments through these types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.registry.models import ModelVersion

if TYPE_CHECKING:
    from genops_lab.hosts.host_python import HostPython, Requirements


@dataclass(frozen=True, kw_only=True)
class CheckedVersion:
    """The files of a version, checked without loading them.

    ``shown`` is the question for the person, as JSON; ``digest`` and ``stamp`` identify the files. ``refused`` says why
    the files may not be loaded at all.
    """

    version: ModelVersion
    trusted: bool
    digest: str
    stamp: tuple[int, int]
    allow_pickle: bool
    shown: dict[str, Any]
    refused: str = ""


@dataclass(frozen=True)
class ModelLoading:
    """How versions are checked, fetched and given an interpreter and environment variables.

    - check: fetch and inspect the files of a version.
    - take: move the files of a version with this digest and stamp to a folder of the caller's own, and return it.
    - interpreter: return a Python with the model's requirements; the second argument gets lines of a log.
    - environment: return the variables for the process that loads the model.
    - requirements: return what the model needs on the host with this Python.
    """

    check: Callable[[ModelVersion], Awaitable[CheckedVersion]]
    take: Callable[[ModelVersion, str, tuple[int, int]], Awaitable[Path]]
    interpreter: Callable[[Path, Callable[[str], None]], Awaitable[Path]]
    environment: Callable[[bool], dict[str, str]]
    requirements: Callable[[Path, HostPython], Requirements]
