"""The credentials of a Kubernetes target: each kind of a kubeconfig, renewed or refused, and the account of a pod."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from genops_lab.hosts.link.errors import LinkError
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.hosts.providers.base import Resources
from genops_lab.hosts.providers.kubernetes.provider import PROVIDER
from tests.support.kubernetes_standin import CONTEXT, TOKEN, StandIn, a_standin, jwt

PLUGIN = """#!/bin/sh
cd "$(dirname "$0")"
echo x >> asked
[ -s token ] || { echo "Your session has ended: run corp-login." >&2; exit 1; }
cat token
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with a_standin(tmp_path_factory.mktemp("api")) as found:
        yield found


@pytest.fixture
def standin(server: StandIn) -> Iterator[StandIn]:
    """It accepts its first token alone."""
    server.tokens = {TOKEN}
    yield server


def accepted(target: Route, meanwhile: Callable[[], None] | None = None) -> bool:
    """Whether the server answers this target, and carries a stream. ``meanwhile`` happens before the stream."""

    async def both() -> bytes:
        host = target.at(await PROVIDER.allocate(target, "one", Resources()))
        await PROVIDER.observe(host)
        if meanwhile is not None:
            meanwhile()
        stream = await PROVIDER.open_stream(host, ["echo", "yes"], Nobody(), Path())
        said: bytes = await stream.reader.read()
        await stream.close()
        await PROVIDER.release(host)
        return said

    return asyncio.run(asyncio.wait_for(both(), 60)) == b"yes\n"


def refusal(target: Route) -> LinkError:
    with pytest.raises(LinkError) as caught:
        asyncio.run(asyncio.wait_for(PROVIDER.list_hosts(target), 60))
    return caught.value


def credential(path: Path, token: str, valid_s: float) -> None:
    """What the plugin gives from now on."""
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + valid_s))
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    path.write_text(json.dumps({**kind, "status": {"token": token, "expirationTimestamp": end}}))


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    program = tmp_path / "corp-plugin"
    program.write_text(PLUGIN)
    program.chmod(0o755)
    return program


def by_plugin(standin: StandIn, plugin: Path) -> Route:
    wanted = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    return standin.route(standin.kubeconfig({"exec": wanted}))


def test_a_plugin_is_asked_once_and_again_after_a_401(standin: StandIn, plugin: Path, tmp_path: Path) -> None:
    credential(tmp_path / "token", "t1", 3600)
    standin.tokens = {"t1"}
    target = by_plugin(standin, plugin)
    assert accepted(target) and accepted(target)
    assert (tmp_path / "asked").read_text() == "x\n"
    standin.tokens = {"t2"}  # the session was ended before its time
    credential(tmp_path / "token", "t2", 3600)
    assert accepted(target)
    assert (tmp_path / "asked").read_text() == "x\n" * 2


def test_a_plugins_token_near_its_end_is_renewed_and_not_for_each_request(
    standin: StandIn, plugin: Path, tmp_path: Path
) -> None:
    standin.tokens = {"t1"}
    credential(tmp_path / "token", "t1", 30)  # the client renews five minutes before an end
    target = by_plugin(standin, plugin)
    assert accepted(target) and accepted(target)
    assert len((tmp_path / "asked").read_text().split()) <= 3


def test_a_plugin_that_fails_is_named_with_its_words(standin: StandIn, plugin: Path, tmp_path: Path) -> None:
    target = by_plugin(standin, plugin)
    error = refusal(target)
    assert (error.code, error.step) == ("kubeconfig", "api")
    assert error.message.startswith("The plugin of context lab gave no credential: ")
    assert "Your session has ended: run corp-login." in error.message
    assert "kubectl --context lab get pods" in error.hint
    credential(tmp_path / "token", TOKEN, 3600)
    assert accepted(target)
    credential(tmp_path / "token", "never", 3600)
    standin.tokens = {"other"}
    error = refusal(target)
    assert "does not accept the credential that the plugin corp-plugin gave" in error.message
    assert error.code == "kubernetes_login" and "Log in again" in error.hint
    plugin.unlink()
    assert "corp-plugin" in refusal(target).message
    os.mkfifo(plugin.with_suffix(".fifo"))
    plugin.write_text(f"#!/bin/sh\nread x < {plugin}.fifo\n")  # a login in a browser
    plugin.chmod(0o755)
    error = refusal(target)
    assert error.message == "The plugin of context lab gave no credential: it has not answered for 10 s."
    with plugin.with_suffix(".fifo").open("w"):  # the browser is closed
        pass


def test_a_rotated_token_file_is_read_again(standin: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(jwt(-3600))
    target = standin.route(standin.kubeconfig({"tokenFile": str(file)}))
    error = refusal(target)
    assert f"does not accept the token in {file} (valid until 20" in error.message and "UTC)" in error.message
    assert "must renew it" in error.hint
    file.write_text(TOKEN)
    assert accepted(target)
    standin.tokens = {"second"}
    file.write_text("second")

    def rotate() -> None:
        standin.tokens = {"third"}
        file.write_text("third")

    assert accepted(target, rotate)


def test_a_client_certificate_is_used_and_its_end_is_told(standin: StandIn) -> None:
    def by(name: str, days: float) -> Route:
        certificate, key = standin.authority.issue(name, days)
        return standin.route(
            standin.kubeconfig({"client-certificate": str(certificate), "client-key": str(key)})
        )

    assert accepted(by("ada", 1))
    error = refusal(by("late", -1))
    assert "does not accept the client certificate of user ada (valid until 20" in error.message
    assert "Get a new kubeconfig" in error.hint


def test_an_old_oidc_login_is_renewed_and_kept(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path))
    fresh, spent = jwt(3600), "refresh-1"

    class Discovery(web.RequestHandler):
        def get(self) -> None:
            self.finish({"token_endpoint": f"https://127.0.0.1:{standin.port}/token"})

    class Token(web.RequestHandler):
        def post(self) -> None:
            if self.get_argument("refresh_token") != spent:
                self.set_status(400)
                self.finish({"error": "invalid_grant"})
                return
            self.finish(
                {"access_token": "a", "token_type": "bearer", "id_token": fresh, "refresh_token": "refresh-2"}
            )

    assert standin.application is not None
    standin.application.add_handlers(
        ".*", [("/idp/.well-known/openid-configuration", Discovery), ("/token", Token)]
    )
    login = {
        "id-token": jwt(-60), "refresh-token": spent, "client-id": "k", "client-secret": "s",
        "idp-issuer-url": f"https://127.0.0.1:{standin.port}/idp",
        "idp-certificate-authority": str(standin.authority.file),
    }  # fmt: skip
    target = standin.route(standin.kubeconfig({"auth-provider": {"name": "oidc", "config": login}}))
    standin.tokens = {fresh}
    assert asyncio.run(PROVIDER.list_hosts(target)) == []
    kept = Path(target.config.kubeconfig).read_text()  # type: ignore[attr-defined]
    assert fresh in kept and "refresh-2" in kept
    if shutil.which("kubectl"):  # streams of an auth-provider
        assert accepted(target)
    standin.tokens = set()
    error = refusal(target)
    assert "does not accept the login of user ada (oidc) (valid until 20" in error.message and error.hint


@pytest.mark.parametrize("name", ["azure", "oidc"])
def test_an_auth_provider_without_a_token_says_what_replaced_it(standin: StandIn, name: str) -> None:
    login = {"name": name, "config": {"id-token": "none", "apiserver-id": "x"}}
    error = refusal(standin.route(standin.kubeconfig({"auth-provider": login})))
    assert error.code == "kubeconfig" and "auth-provider of context lab gave no token" in error.message
    assert "plugins" in error.hint


def test_no_credentials_are_said_as_that(standin: StandIn) -> None:
    error = refusal(standin.route(standin.kubeconfig({})))
    assert "a request without a login: the kubeconfig has no credentials of user ada" in error.message
    assert error.code == "kubernetes_login" and "set-credentials" in error.hint


def test_a_renamed_context_names_those_that_are_there(standin: StandIn) -> None:
    path = standin.kubeconfig({"token": TOKEN})
    target = standin.route(path)
    assert accepted(target)
    standin.kubeconfig({"token": TOKEN}, context="lab-2")
    error = refusal(target)
    assert error.message == f"There is no context {CONTEXT}: the kubeconfig has only lab-2."
    assert "another context" in error.hint
    path.unlink()
    error = refusal(target)
    assert f"there is no file {path}" in error.message and error.code == "kubeconfig"
    path.write_text("clusters: [\n")
    assert refusal(target).code == "kubeconfig"
    standin.kubeconfig({"token": TOKEN})
    assert accepted(target)


def test_the_account_of_the_labs_pod_is_used_and_its_token_rotates(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "account"
    account.mkdir()
    for name, value in (("HOST", "127.0.0.1"), ("PORT", str(standin.port))):
        monkeypatch.setenv(f"KUBERNETES_SERVICE_{name}", value)
    monkeypatch.setenv("GENOPS_SERVICE_ACCOUNT", str(account))
    target = standin.route(context="in-cluster")
    error = refusal(target)
    assert "Context in-cluster cannot be used: Service token file does not exist." in error.message
    assert "does not run in a pod with a service account" in error.hint
    (account / "token").write_text(TOKEN)
    shutil.copy(standin.authority.file, account / "ca.crt")
    assert accepted(target)
    standin.tokens = {"second"}
    error = refusal(target)
    assert "does not accept the service account of JupyterLab's pod" in error.message
    (account / "token").write_text("second")
    assert accepted(target)


def test_a_server_with_a_new_authority_is_trusted_once_the_kubeconfig_is(
    standin: StandIn, tmp_path: Path
) -> None:
    file = standin.authority.file
    target = standin.route(standin.kubeconfig({"token": TOKEN}))
    good = file.read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    with a_standin(other) as stranger:
        file.write_bytes(stranger.authority.file.read_bytes())
    standin.kubeconfig({"token": TOKEN})
    error = refusal(target)
    assert error.code == "kubernetes_unreachable" and "certificate" in error.message.lower()
    file.write_bytes(good)  # the file alone: the kubeconfig that names it is the same
    _until(lambda: accepted(target))


def _until(good: Callable[[], Any]) -> None:
    for _ in range(2):  # the first request finds out
        try:
            assert good()
            return
        except LinkError as error:
            last = error
    raise last
