"""Make the HTTP clients of this server. They keep nothing between requests: no cookie, and no redirect is followed.

One client speaks for many callers, so what a program says to one of them must not reach the next. A guard test refuses
clients that are made elsewhere.
"""

from __future__ import annotations

import importlib
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any


def httpx_client(**options: Any) -> Any:
    """Return an ``httpx.AsyncClient``. It reads no proxy and no password of the environment."""
    httpx = importlib.import_module("httpx")
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(cookies=no_cookies, follow_redirects=False, trust_env=False, **options)


def aiohttp_session(**options: Any) -> Any:
    """Return an ``aiohttp.ClientSession``. Its requests say ``allow_redirects=False`` themselves."""
    aiohttp = importlib.import_module("aiohttp")
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), **options)
