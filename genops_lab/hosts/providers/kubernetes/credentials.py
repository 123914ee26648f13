"""The credentials of a context: what the kubeconfig names (tokens, certificates, plugins), or the account of
JupyterLab's own pod.

They are read again when the kubeconfig has changed, and after :meth:`Credentials.forget` (a 401). The client runs
plugins and refreshes tokens whose end is near.
"""

from __future__ import annotations

import base64
import itertools
import json
import logging
import os
import threading
import time
from concurrent.futures import Future, TimeoutError
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from .config import IN_CLUSTER

#: The folder with ``token`` and ``ca.crt`` of the pod's account, where it is another one than Kubernetes' own.
ACCOUNT_VARIABLE = "GENOPS_SERVICE_ACCOUNT"
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
#: Seconds that a header is used before its end is looked at again: a plugin takes up to a second.
_HEADER_S = 5.0
#: Seconds that a request waits for a plugin. It may wait for a login in a browser, and goes on meanwhile.
_PLUGIN_S = 10.0
_READINGS = itertools.count(1)


class CredentialsError(Exception):
    """The credentials cannot be read. ``kind`` is what is wrong: context, file or one of :func:`_kind_of`."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Login(NamedTuple):
    """The login of a request. ``number`` says which reading of the credentials it is."""

    configuration: Any
    pool: Any
    header: dict[str, str]
    number: int


class _Reading:
    """A reading of credentials that goes on. ``stamp`` says what the kubeconfig was at its start."""

    def __init__(self, stamp: object) -> None:
        self.stamp = stamp
        self.login: Future[Login] = Future()


class Credentials:
    """The credentials of one context. Methods may be called from any thread, block, and raise CredentialsError."""

    def __init__(self, kubeconfig: str, context: str) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._lock = threading.Lock()
        self._stamp: object = None
        self._login: Login | None = None
        self._read_at = 0.0
        self._reading: _Reading | None = None

    def forget(self, number: int) -> None:
        """Read everything again at the next use, unless that has happened since this reading."""
        with self._lock:
            if self._login is not None and number == self._login.number:
                self._stamp = None

    def current(self) -> Login:
        """Return the client's configuration, urllib3's pool with its TLS, and the header that logs in."""
        with self._lock:
            stamp, login = self._changed(), self._login
            if login is not None and stamp == self._stamp and time.monotonic() - self._read_at < _HEADER_S:
                return login
            reading = self._reading
            if (
                reading is None or reading.stamp != stamp
            ):  # a plugin of the earlier kubeconfig may still be asked
                reading = self._reading = _Reading(stamp)
                threading.Thread(target=self._read, args=(reading,), daemon=True).start()
        try:
            return reading.login.result(_PLUGIN_S)
        except TimeoutError:
            raise CredentialsError(f"it has not answered for {_PLUGIN_S:.0f} s", self._kind()) from None

    def _read(self, reading: _Reading) -> None:
        """Read for all who wait: one run of a plugin."""
        login: Login | None = None
        failed: CredentialsError | None = None
        with self._lock:
            known = self._login if reading.stamp == self._stamp else None
        try:
            made, pool = (known.configuration, known.pool) if known else self._load()
            login = Login(made, pool, _header(made), known.number if known else next(_READINGS))
        except CredentialsError as error:
            failed = error
        except Exception as error:  # the client raises whatever its plugins raise
            failed = CredentialsError(str(error) or repr(error), self._kind())
        with self._lock:
            if self._reading is reading:
                self._reading = None
                if login is not None:
                    self._login, self._stamp, self._read_at = login, reading.stamp, time.monotonic()
        if login is not None:
            reading.login.set_result(login)
        else:
            reading.login.set_exception(failed or CredentialsError("nothing was read", "file"))

    def _load(self) -> tuple[Any, Any]:
        """Return the client's configuration and urllib3's pool."""
        from kubernetes import client
        from kubernetes import config as loading
        from kubernetes.client.rest import RESTClientObject

        config: Any = loading
        made = client.Configuration()
        said = _Said()
        logging.getLogger().addHandler(
            said
        )  # the client logs why a plugin failed, and goes on without a login
        try:
            if self._context == IN_CLUSTER:
                _load_account(made)
            else:
                self._check_context()
                # Kept as kubectl keeps them: an identity provider may take a refresh token once.
                config.load_kube_config(
                    config_file=self._kubeconfig or None, context=self._context,
                    client_configuration=made, persist_config=True,
                )  # fmt: skip
        except CredentialsError:
            raise
        except Exception as error:  # the client raises whatever its plugins and YAML raise
            raise CredentialsError(str(error) or repr(error), self._kind()) from error
        finally:
            logging.getLogger().removeHandler(said)
        kind = self._kind()
        if kind in ("plugin", "auth-provider") and not _header(made) and not made.cert_file:
            raise CredentialsError(said.text or "it gave no token", kind)
        made.retries = False
        return made, RESTClientObject(made).pool_manager

    def _check_context(self) -> None:
        paths = self._paths()
        if not any(path.is_file() for path in paths):
            raise CredentialsError(f"there is no file {', '.join(map(str, paths))}", "file")
        names = [each["name"] for each in self._merged().config["contexts"].value]
        if self._context not in names:
            raise CredentialsError(f"the kubeconfig has only {', '.join(names) or 'no context'}", "context")

    def _changed(self) -> tuple[float, ...]:
        if self._context == IN_CLUSTER:
            return ()
        found = []
        for path in self._paths():
            try:
                found.append(path.stat().st_mtime)
            except OSError:
                found.append(0.0)
        return tuple(found)

    def _paths(self) -> list[Path]:
        names = self._kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
        return [Path(name).expanduser() for name in names.split(os.pathsep) if name]

    def _merged(self) -> Any:
        from kubernetes.config import kube_config as loading

        kube_config: Any = loading
        return kube_config.KubeConfigMerger(os.pathsep.join(map(str, self._paths())))

    def _entries(self) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return the user's name, the user and the cluster of the context; empty where the kubeconfig lacks them."""
        config = self._merged().config
        context = config["contexts"].get_with_name(self._context)["context"].value
        user = config["users"].get_with_name(context.get("user"), safe=True) if "users" in config else None
        cluster = config["clusters"].get_with_name(context["cluster"], safe=True)
        return (
            str(context.get("user") or ""),
            (user["user"].value if user and user.value.get("user") else {}),
            (cluster["cluster"].value if cluster else {}),
        )

    def _kind(self) -> str:
        if self._context == IN_CLUSTER:
            return "account"
        try:
            return _kind_of(self._entries()[1])
        except Exception:  # the file is not what the client expects; the caller has its words
            return "file"

    def words(self) -> tuple[str, str]:
        """Return the kind of the credential, and what it is in words: for a server that refuses it."""
        kind = self._kind()
        if kind == "account":
            return kind, "the service account of JupyterLab's pod"
        if kind == "file":
            return kind, "its credentials"
        name, user, _cluster = self._entries()
        until = self._valid_until()
        return kind, {
            "plugin": f"the credential that the plugin {Path(str((user.get('exec') or {}).get('command'))).name} gave",
            "auth-provider": f"the login of user {name} ({(user.get('auth-provider') or {}).get('name')})",
            "token": f"the token of user {name}",
            "token file": f"the token in {user.get('tokenFile')}",
            "password": f"the password of user {name}",
            "certificate": f"the client certificate of user {name}",
            "none": f"a request without a login: the kubeconfig has no credentials of user {name or '(none)'}",
        }[kind] + (f" (valid until {until})" if until else "")

    def _valid_until(self) -> str:
        """Return the end that a token or a certificate names itself; empty: unknown."""
        from cryptography import x509

        login = self._login
        if login is None:
            return ""
        header = login.header.get("authorization", "")
        try:
            if header.lower().startswith("bearer "):
                body = header.split(".")[1]
                found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
                end = datetime.fromtimestamp(float(found["exp"]), timezone.utc)
            else:
                certificate = x509.load_pem_x509_certificate(Path(login.configuration.cert_file).read_bytes())
                end = certificate.not_valid_after_utc
        except (AttributeError, LookupError, OSError, TypeError, ValueError):
            return ""  # no JWT, no certificate, an older cryptography
        return f"{end:%Y-%m-%d %H:%M} UTC"

    def needs_kubectl(self) -> str:
        """Return what of the kubeconfig the built-in websocket lacks; empty: nothing."""
        if self._context == IN_CLUSTER:
            return ""
        _name, user, cluster = self._entries()
        if "auth-provider" in user:
            return "an auth-provider"
        if str(cluster.get("proxy-url") or "").startswith("socks"):
            return "a SOCKS proxy"
        return ""


class _Said(logging.Handler):
    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def _header(made: Any) -> dict[str, str]:
    settings = made.auth_settings().values()
    return {each["key"]: each["value"] for each in settings if each["in"] == "header" and each["value"]}


def _load_account(made: Any) -> None:
    from kubernetes.config import incluster_config as loading

    incluster: Any = loading
    folder = Path(os.environ.get(ACCOUNT_VARIABLE) or _ACCOUNT)
    incluster.InClusterConfigLoader(
        token_filename=str(folder / "token"), cert_filename=str(folder / "ca.crt")
    ).load_and_set(made)


def _kind_of(user: dict[str, Any]) -> str:
    """Return the kind of a user's credential, in the client's order."""
    for field, kind in (
        ("auth-provider", "auth-provider"),
        ("token", "token"),
        ("tokenFile", "token file"),
        ("exec", "plugin"),
        ("password", "password"),
        ("client-certificate", "certificate"),
        ("client-certificate-data", "certificate"),
    ):
        if user.get(field):
            return kind
    return "none"
