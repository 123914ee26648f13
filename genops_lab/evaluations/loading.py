"""Deployments, a package above this one, give evaluations checked files and environments through these types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.registry.models import ModelVersion


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


class HostPython(msgspec.Struct, frozen=True, kw_only=True):
    """The Python of a target: its path, its version such as ``3.11``, its packages and its environment markers."""

    executable: str
    version: str
    packages: dict[str, str]
    markers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """The ingredients of an environment on a host; ``missing`` says what the Python of the target lacks.

    ``lines`` are those of the model's requirements.txt, ``python`` its version (empty: unknown), and ``packages`` what
    an evaluation needs beside them.
    """

    lines: list[str]
    python: str
    packages: list[str]
    missing: list[str]


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
