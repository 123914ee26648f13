"""Find hosts of the user's ssh_config that could be added. Everything here blocks."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...models import Candidate
from ...names import default_name
from .config import SshConfig

if TYPE_CHECKING:
    from ...link.route import Route

MAX_CANDIDATES = 1000
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*$")
_PATTERN = re.compile(r"[*?!]")


def candidates(known: Sequence[Route], config: Path | None = None) -> list[Candidate]:
    """Return the concrete aliases (no patterns) of the ssh_config and its includes, in order, without known
    hosts.

    ``hostname``, ``user`` and ``port`` are the first values in the alias' own block; values of patterns apply
    at the connection. An unreadable file returns nothing.
    """
    found: dict[str, dict[str, str]] = {}
    block: list[str] = []
    for keyword, value in _lines(config or Path("~/.ssh/config").expanduser(), set()):
        if keyword == "host":
            block = [alias for alias in _words(value) if not _PATTERN.search(alias)]
            for alias in block:
                found.setdefault(alias, {})
        elif keyword == "match":
            block = []
        elif keyword in ("hostname", "user", "port"):
            for alias in block:
                found[alias].setdefault(keyword, " ".join(_words(value)))
    hosts = {route.config.host for route in known if isinstance(route.config, SshConfig)}
    taken = {route.target for route in known}
    offered: list[Candidate] = []
    for alias, said in found.items():
        if alias in hosts or len(offered) >= MAX_CANDIDATES:
            continue
        port = said.get("port", "")
        offered.append(
            Candidate(
                alias=alias,
                name=_free_name(alias, taken),
                hostname=said.get("hostname", "").replace("%h", alias),
                user=said.get("user", ""),
                port=int(port) if port.isdecimal() and int(port) <= 65535 else 0,
            )
        )
        taken.add(offered[-1].name)
    return offered


def _free_name(alias: str, taken: set[str]) -> str:
    name = default_name(alias)
    if name not in taken:
        return name
    return next(each for number in range(2, len(taken) + 3) if (each := f"{name[:53]}-{number}") not in taken)


def _lines(file: Path, seen: set[Path]) -> Iterator[tuple[str, str]]:
    """Yield keywords in lower case with their values. An included file takes the place of its Include, each
    file once: a repetition adds nothing, and some include themselves."""
    if file in seen:
        return
    seen.add(file)
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is None or line.lstrip().startswith("#"):
            continue
        keyword, value = found[1].lower(), found[2]
        if keyword != "include":
            yield keyword, value
        else:
            for word in _words(value):
                pattern = Path(word).expanduser()
                whole = pattern if pattern.is_absolute() else Path("~/.ssh").expanduser() / pattern
                for name in sorted(glob.glob(str(whole))):  # noqa: PTH207 - Path.glob takes no absolute pattern
                    yield from _lines(Path(name), seen)


def _words(value: str) -> list[str]:
    try:
        return shlex.split(value, comments=True)
    except ValueError:  # a quote without an end
        return value.split()
