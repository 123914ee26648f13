"""Remove private data from a report: secrets, user names, hosts and home folders."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, urlsplit

_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^/\s]+@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S*")
_BARE_QUERY = re.compile(r"\?[\w.%-]+=[^\s)'\"]*")
_BEARER = re.compile(r"\b(bearer|basic|token)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
#: Account names that identify nobody.
_ANYBODY = frozenset({"root", "jovyan", "user", "admin", "runner", "ubuntu", "debian", "nobody", "jupyter"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_SECRET = 6


class Redactor:
    """Replace private values of this process's environment and of ``uris`` in texts."""

    def __init__(self, environment: Mapping[str, str] | None = None, uris: tuple[str, ...] = ()) -> None:
        self._environment = os.environ if environment is None else environment
        self._rules: list[tuple[re.Pattern[str], str]] = [
            *self._secrets(uris),
            (_USERINFO, ""),
            (_QUERY, r"\1"),
            (_BARE_QUERY, ""),
            (_BEARER, r"\1 <secret>"),
            *self._hosts(uris),
            *self._homes(),
            *self._people(),
        ]

    def __call__(self, text: str) -> str:
        """Return the text without secrets, user names and hosts, with ``~`` for the home folder."""
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text

    def _secrets(self, uris: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
        values = {
            value
            for name, value in self._environment.items()
            if _SECRET_NAME.search(name)
            and len(value) >= _SHORTEST_SECRET
            and not value.startswith(("/", "~"))
        }
        # Credentials inside a URL are as private as variables of their own.
        for value in (*self._environment.values(), *uris):
            values |= _private_parts(value)
        return [(re.compile(re.escape(value)), "<secret>") for value in sorted(values, key=len, reverse=True)]

    def _hosts(self, uris: tuple[str, ...]) -> list[tuple[re.Pattern[str], str]]:
        hosts = {parts.hostname for parts in map(_split, uris) if parts is not None}
        with contextlib.suppress(OSError):
            hosts.add(socket.gethostname())
        found = sorted((host for host in hosts if host and host not in _LOOPBACK), key=len, reverse=True)
        return [
            (re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", re.IGNORECASE), "<host>") for host in found
        ]

    def _homes(self) -> list[tuple[re.Pattern[str], str]]:
        given = self._environment.get("HOME") or str(Path.home())
        homes = {given.rstrip("/"), os.path.realpath(given)}
        return [
            (re.compile(rf"{re.escape(home)}(?=[/\s'\":;,)]|$)"), "~")
            for home in sorted(homes, key=len, reverse=True)
            if len(home) > 1
        ]

    def _people(self) -> list[tuple[re.Pattern[str], str]]:
        names = {
            self._environment.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "JUPYTERHUB_USER")
        }
        with contextlib.suppress(OSError, KeyError):  # a uid without an account, as in some containers
            names.add(getpass.getuser())
        return [
            (re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])"), "<user>")
            for name in sorted(names, key=len, reverse=True)
            if name and name.lower() not in _ANYBODY
        ]


def _private_parts(uri: str) -> set[str]:
    """Return user, password and parameters of a URI that have 6 or more characters."""
    parts = _split(uri)
    if parts is None:
        return set()
    found = {parts.username, parts.password, *(value for _name, value in parse_qsl(parts.query))}
    return {value for value in found if value and len(value) >= _SHORTEST_SECRET}


def _split(uri: str) -> SplitResult | None:
    """Split a URI; None for other texts."""
    try:
        return urlsplit(uri) if "://" in uri else None
    except ValueError:
        return None
