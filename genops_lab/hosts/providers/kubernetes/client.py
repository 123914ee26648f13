"""Requests to an API server with the official client's configuration: TLS, tokens, plugins, proxies.

Belongs to the process of :mod:`.api_child`. Objects stay plain JSON: the client's models cost time and refuse
what a newer server sends.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from .config import IN_CLUSTER

_CONNECT_S, _READ_S = 5.0, 15.0
_TRIES, _MOST_RETRY_S = 4, 5.0


class ApiError(Exception):
    """An answer that is an error, or none."""

    def __init__(self, kind: str, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.kind, self.message, self.status, self.reason = kind, message, status, reason

    def plain(self) -> dict[str, Any]:
        """Return the error as the answer's ``error``."""
        return {"kind": self.kind, "message": self.message, "status": self.status, "reason": self.reason}


class Api:
    """Requests to the API server with the credentials of a context, which are read again when they change."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._lock = threading.Lock()
        self._stamp: object = None
        self._configuration: Any = None
        self._pool: Any = None

    def call(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """Return an object. Retries where the server asks for it (429, Retry-After). Raises ApiError."""
        for tried in range(1, _TRIES + 1):
            response = self.open(method, path, query, body)
            try:
                data = response.read()
            except Exception as error:
                raise ApiError("unreachable", _words(error)) from error
            finally:
                response.release_conn()
            if response.status == 401 and tried == 1:
                self._stamp = None  # a token that has expired: the kubeconfig or its plugin gives another one
                continue
            if response.status in (429, 503) and tried < _TRIES:
                time.sleep(min(_seconds(response.headers.get("Retry-After")), _MOST_RETRY_S))
                continue
            break
        try:
            found = json.loads(data)
        except ValueError:
            found = {"message": data[:500].decode(errors="replace")}
        if not isinstance(found, dict):
            found = {"message": str(found)[:500]}
        if response.status >= 400:
            raise ApiError(
                "api", str(found.get("message") or ""), response.status, str(found.get("reason") or "")
            )
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

        configuration = self.configuration()
        url = configuration.host.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json", **self._authorization()}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        try:
            return self._pool.request(
                method, url, body=data, headers=headers, preload_content=False, retries=False,
                timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            raise ApiError("unreachable", _words(error)) from error

    def configuration(self) -> Any:
        """Return the client's configuration, read anew when the kubeconfig has changed. Raises ApiError."""
        with self._lock:
            stamp = self._changed()
            if self._configuration is None or stamp != self._stamp:
                self._load()
                self._stamp = stamp
            return self._configuration

    def _load(self) -> None:
        from kubernetes import client
        from kubernetes import config as loading
        from kubernetes.client.rest import RESTClientObject

        config: Any = loading
        made = client.Configuration()
        try:
            if self._context == IN_CLUSTER:
                config.load_incluster_config(client_configuration=made)
            else:
                config.load_kube_config(
                    config_file=self._kubeconfig or None, context=self._context,
                    client_configuration=made, persist_config=False,
                )  # fmt: skip
        except Exception as error:  # the client raises whatever its plugins and YAML raise
            raise ApiError("config", _words(error)) from error
        made.retries = False
        self._pool = RESTClientObject(made).pool_manager
        self._configuration = made

    def _changed(self) -> tuple[float, ...]:
        names = (self._kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)
        found = []
        for name in names:
            try:
                found.append(Path(name).expanduser().stat().st_mtime)
            except OSError:
                found.append(0.0)
        return tuple(found)

    def _authorization(self) -> dict[str, str]:
        settings = self._configuration.auth_settings().values()
        return {each["key"]: each["value"] for each in settings if each["in"] == "header" and each["value"]}

    def access(self) -> dict[str, Any]:
        """Return what a websocket needs, for the process of a stream. Raises ApiError."""
        made = self.configuration()
        return {
            "host": made.host,
            "headers": self._authorization(),
            "verify": bool(made.verify_ssl),
            "ca": made.ssl_ca_cert,
            "cert": made.cert_file,
            "key": made.key_file,
            "server_name": getattr(made, "tls_server_name", None),
            "proxy": made.proxy,
            "needs_kubectl": self._needs_kubectl(),
        }

    def _needs_kubectl(self) -> str:
        """Return what of the kubeconfig the built-in websocket lacks; empty: nothing."""
        if self._context == IN_CLUSTER:
            return ""
        from kubernetes.config import kube_config as loading

        kube_config: Any = loading
        path = self._kubeconfig or kube_config.KUBE_CONFIG_DEFAULT_LOCATION
        merged = kube_config.KubeConfigMerger(path).config
        context = merged["contexts"].get_with_name(self._context)["context"]
        user = merged["users"].get_with_name(context["user"])["user"].value if "user" in context else {}
        cluster = merged["clusters"].get_with_name(context["cluster"])["cluster"].value
        if "auth-provider" in (user or {}):
            return "an auth-provider"
        if str((cluster or {}).get("proxy-url") or "").startswith("socks"):
            return "a SOCKS proxy"
        return ""


def _words(error: BaseException) -> str:
    """Return what failed, from the innermost reason of a chain."""
    reason = getattr(error, "reason", None)
    return (
        _words(reason)
        if isinstance(reason, BaseException)
        else str(error).rpartition(">: ")[2] or repr(error)
    )


def _seconds(text: str | None) -> float:
    try:
        return max(0.1, float(text or 1.0))
    except ValueError:
        return 1.0
