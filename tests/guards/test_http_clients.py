"""HTTP clients that may speak for more than one caller are made in one module, which keeps nothing between requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from .readers import PACKAGE

_HOME = PACKAGE / "core" / "http_clients.py"
#: Classes that keep cookies, logins or redirections between requests, by their modules.
_CLIENTS = {
    "httpx": {"AsyncClient", "Client"},
    "requests": {"Session", "session"},
    "aiohttp": {"ClientSession"},
    "tornado.httpclient": {"AsyncHTTPClient", "HTTPClient"},
    "tornado.simple_httpclient": {"SimpleAsyncHTTPClient"},
    "tornado.curl_httpclient": {"CurlAsyncHTTPClient"},
    "urllib.request": {"HTTPCookieProcessor"},
}


def clients(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each client that a module makes or takes over."""
    if not any(name in source for names in _CLIENTS.values() for name in names):
        return
    tree = ast.parse(source)
    modules = {name.rpartition(".")[2]: name for name in _CLIENTS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update({each.asname: each.name for each in node.names if each.asname})
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                if each.name in _CLIENTS.get(node.module or "", ()):
                    yield node.lineno, f"{node.module}.{each.name}"
                elif f"{node.module}.{each.name}" in _CLIENTS:
                    modules[each.asname or each.name] = f"{node.module}.{each.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            base = ast.unparse(node.value)
            module = modules.get(base.rpartition(".")[2].lstrip("_"), base)
            if node.attr in _CLIENTS.get(module, ()):
                yield node.lineno, f"{module}.{node.attr}"


def test_clients_are_made_in_one_module() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line}: {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != _HOME
        for line, name in clients(path.read_text(encoding="utf-8"))
    ]
    assert not found, (
        f"A client keeps cookies of one caller for the next. Make it by genops_lab/core/http_clients.py: {found}"
    )
    names = {name for _, name in clients(_HOME.read_text(encoding="utf-8"))}
    assert names == {"httpx.AsyncClient", "aiohttp.ClientSession"}, (
        "the guard reads the clients that are there"
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import httpx\nhttpx.Client()", "httpx.Client"),
        ("import httpx as web\nweb.AsyncClient()", "httpx.AsyncClient"),
        ("from httpx import AsyncClient as Asks", "httpx.AsyncClient"),
        ("import requests\nwith requests.Session() as one: ...", "requests.Session"),
        (
            "import tornado.httpclient\ntornado.httpclient.AsyncHTTPClient()",
            "tornado.httpclient.AsyncHTTPClient",
        ),
        (
            "from tornado import httpclient\nhttpclient.AsyncHTTPClient()",
            "tornado.httpclient.AsyncHTTPClient",
        ),
        ("from tornado.httpclient import AsyncHTTPClient", "tornado.httpclient.AsyncHTTPClient"),
        ("self._aiohttp.ClientSession()", "aiohttp.ClientSession"),
    ],
)
def test_the_guard_finds_every_spelling(source: str, name: str) -> None:
    assert [found for _, found in clients(source)] == [name]
    assert not list(clients("client.Session()\nhttpx.Timeout(1)\nrequests.get(url)"))
