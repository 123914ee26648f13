"""Requests to an API server with the official client's configuration: TLS, tokens, plugins, proxies.

Belongs to the process of :mod:`.api_child`. Objects stay plain JSON: the client's models cost time and refuse
what a newer server sends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from .credentials import Credentials, CredentialsError, Login

_CONNECT_S, _READ_S = 5.0, 15.0
_TRIES, _MOST_RETRY_S = 4, 5.0
_SAME_CLOCK_S = 5.0
#: Seconds without a request after which open connections are not used again: a proxy may have dropped them in
#: silence, and a request would wait for its time-out.
_IDLE_S = 20.0
#: Who a request without a login is, in the words of a refusal.
_ANONYMOUS = "system:anonymous"


class ApiError(Exception):
    """An answer that is an error, or none."""

    def __init__(self, kind: str, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.status, self.reason = kind, message, status, reason
        #: the server's wish, in seconds
        self.retry_s = 0.0
        #: the kind of the refused credential, and what it is in words
        self.credential = ("", "")

    def plain(self) -> dict[str, Any]:
        """Return the error as the answer's ``error``."""
        found = {"kind": self.kind, "message": self.message, "status": self.status, "reason": self.reason}
        return {**found, "credential": self.credential}


class Api:
    """Requests to the API server with the credentials of a context, which are read again when they change."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._credentials = Credentials(kubeconfig, context)
        #: seconds that the server's clock is ahead of this machine's, where that is more than answers can be late
        self.ahead_s = 0.0
        self._used_at = time.monotonic()

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        tries: int = _TRIES,
    ) -> dict[str, Any]:
        """Return an object. Retries where the server asks for it (429, Retry-After). Raises ApiError."""
        for tried in range(1, tries + 1):
            number = self._login().number
            response = self.open(method, path, query, body)
            try:
                data = response.read()
            except Exception as error:
                raise ApiError("unreachable", _words(error)) from error
            finally:
                response.release_conn()
            if response.status == 401 and tried == 1:
                self._credentials.forget(number)  # a token that has expired
                continue
            if response.status in (429, 503) and tried < tries:
                time.sleep(retry_after(response))
                continue
            break
        try:
            found = json.loads(data)
        except ValueError:
            found = {"message": data[:500].decode(errors="replace")}
        if not isinstance(found, dict):
            found = {"message": str(found)[:500]}
        if response.status >= 400:
            message, reason = str(found.get("message") or ""), str(found.get("reason") or "")
            refused = ApiError("api", message, response.status, reason)
            if response.status == 401 or (response.status == 403 and _ANONYMOUS in message):
                refused.credential = self._credentials.words()
            raise refused
        return found

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        read_s: float = _READ_S,
    ) -> Any:
        """Return urllib3's response, whose body is not read yet. Raises ApiError."""
        import urllib3

        login = self._login()
        url = login.configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", **login.header}
        used_at, self._used_at = self._used_at, time.monotonic()
        if self._used_at - used_at > _IDLE_S:
            login.pool.clear()
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            response = login.pool.request(
                method, url, body=data, headers=headers, preload_content=False, retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
            )  # fmt: skip
            self.ahead_s = _ahead(response.headers.get("Date"))
            return response
        except urllib3.exceptions.HTTPError as error:
            if isinstance(error, urllib3.exceptions.SSLError):
                self._credentials.forget(login.number)  # the server's certificate may be a new one
            raise ApiError("unreachable", _words(error)) from error

    @property
    def server(self) -> str:
        """The address of the API server that the context now leads to. Raises ApiError."""
        return str(self._login().configuration.host)

    def _login(self) -> Login:
        try:
            return self._credentials.current()
        except CredentialsError as error:
            raise ApiError("config", str(error), reason=error.kind) from error

    def access(self) -> dict[str, Any]:
        """Return what a websocket needs, for the process of a stream. Raises ApiError."""
        try:
            self.call("GET", "/version")  # a websocket is not tried again after a 401
        except ApiError as error:
            if error.status != 403 or error.credential[0]:
                raise
        login = self._login()
        made = login.configuration
        return {
            "host": made.host,
            "headers": login.header,
            "verify": bool(made.verify_ssl),
            "ca": made.ssl_ca_cert,
            "cert": made.cert_file,
            "key": made.key_file,
            "server_name": getattr(made, "tls_server_name", None),
            "proxy": made.proxy,
            "needs_kubectl": self._credentials.needs_kubectl(),
        }


def _words(error: BaseException) -> str:
    """Return what failed, from the innermost reason of a chain."""
    reason = getattr(error, "reason", None)
    return (
        _words(reason)
        if isinstance(reason, BaseException)
        else str(error).rpartition(">: ")[2] or repr(error)
    )


def _ahead(date: str | None) -> float:
    """Return how far the clock that wrote a date is ahead of this machine's, in seconds; 0 within 5 s."""
    try:
        found = parsedate_to_datetime(date or "").timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0
    return found if abs(found) > _SAME_CLOCK_S else 0.0


def retry_after(response: Any) -> float:
    """Return for how many seconds a server wishes no request."""
    try:
        return min(max(0.1, float(response.headers.get("Retry-After") or 1.0)), _MOST_RETRY_S)
    except ValueError:  # a date
        return 1.0
