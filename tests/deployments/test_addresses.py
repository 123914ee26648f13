"""Each address that a deployment says is called, through a real Lab below a base URL; others are refused."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.authority import Authority
from tests.support.homes import Home
from tests.support.lab_server import LabServer, free_port, running_lab
from tests.support.rooms import eventually

from .conftest import ask

APP = Path(__file__).with_name("speaking_app.py")


class Speaking:
    """A Lab with a deployment of the app, which also answers other machines by TLS."""

    def __init__(self, lab: LabServer, folder: Path, authority: Authority) -> None:
        self.lab, self.folder, self.authority = lab, folder, authority
        shutil.copy(APP, folder / "app.py")
        asked = {"command": f"{sys.executable} {folder / 'app.py'}", "name": "speaks"}
        digest = lab.request("POST", "genops/deployment-checks", asked)[1]["digest"]
        status, answer = lab.request("POST", "genops/deployments", {**asked, "trust": digest})
        assert status == 200, answer
        self.shown = eventually(
            lambda: lab.get("genops/deployments/speaks"),
            lambda each: each["state"] not in ("preparing", "starting"),
        )
        assert self.shown["state"] == "running", self.shown
        self.key = lab.get("genops/deployments/speaks/key")["key"]

    def address(self, kind: str) -> dict[str, str]:
        (found,) = [each for each in self.shown["addresses"] if each["kind"] == kind]
        return dict(found)


@pytest.fixture(scope="module")
def speaking(module_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Speaking]:
    folder, port = tmp_path_factory.mktemp("speaks"), free_port()
    authority = Authority(folder)
    authority.signed(folder / "certificate.pem", folder / "key.pem")
    arguments = [
        f"--GenOpsLab.deployment_https=localhost:{port}",
        f"--GenOpsLab.deployment_certificate={folder / 'certificate.pem'}",
        f"--GenOpsLab.deployment_certificate_key={folder / 'key.pem'}",
    ]
    with running_lab(module_home, base_url="/team/ada/", arguments=arguments) as lab:
        found = Speaking(lab, folder, authority)
        yield found
        lab.request("POST", "genops/deployments/speaks/stop")
        lab.request("DELETE", "genops/deployments/speaks")


def test_each_address_is_called_with_its_credential_alone(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(speaking.authority.file))  # as `show` says
    credentials = {"loopback": speaking.key, "https": speaking.key, "lab": speaking.lab.token}
    for kind, credential in credentials.items():
        address = speaking.address(kind)["address"]
        status, told = ask(
            address, credential, [1], path="/echo?unit=7&token=" + speaking.lab.token * (kind == "lab")
        )
        assert status == 200 and told["path"] == "/echo?unit=7" + "&token=" * (kind != "lab"), (kind, told)
        assert json.loads(told["body"]) == {"inputs": [1]}
        for wrong in (None, "wrong"):
            assert ask(address, wrong, [1], path="/echo")[0] in (401, 403), (kind, wrong)
    assert speaking.address("lab")["address"] == f"{speaking.lab.url}genops/call/speaks"
    ssh = speaking.address("ssh")
    port = urlsplit(ssh["address"]).port
    assert ssh["command"].startswith(f"ssh -N -L {port}:127.0.0.1:{port} ")


def test_what_is_not_said_does_not_answer(speaking: Speaking) -> None:
    port = urlsplit(speaking.address("loopback")["address"]).port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(
            ("192.0.2.1", 9)
        )  # a datagram socket sends nothing; it gets the address that others use
        own = probe.getsockname()[0]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((own, port), timeout=5).close()
    lab = speaking.address("lab")["address"]
    for other, status in (("nobody", 404), ("speaks/../../genops/status", 400), ("..%2Fspeaks", 404)):
        assert ask(lab.replace("speaks", other), speaking.lab.token, [1], path="/echo")[0] == status, other
    assert ask(lab, speaking.lab.token, [1], path="/v1/../../metrics")[0] == 400
    assert ask(lab, speaking.key, [1], path="/echo")[0] == 403, "JupyterLab takes its own token"


def test_an_answer_through_jupyterlab_has_no_power_over_it(speaking: Speaking) -> None:
    lab = speaking.address("lab")["address"]
    given = {
        "Cookie": "username-x=secret",
        "X-Request-ID": "mine",
        "X-User": "ada",
        "Origin": speaking.lab.origin,
    }
    status, told = ask(lab, speaking.lab.token, [1], path="/echo", headers=given)
    reached = {name.lower(): value for name, value in told["headers"].items()}
    assert status == 200 and speaking.lab.token not in str(told) and "cookie" not in reached
    assert (reached["x-request-id"], reached["x-user"], reached.get("origin")) == ("mine", "ada", None)
    request = urllib.request.Request(f"{lab}/page", headers={"Authorization": f"token {speaking.lab.token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert "sandbox" in answer.headers["Content-Security-Policy"] and "theirs" not in str(answer.headers)
        assert (
            answer.headers["Content-Type"] == "text/html"
            and answer.headers["X-Content-Type-Options"] == "nosniff"
        )
    broken = urllib.request.Request(f"{lab}/broken", headers={"Authorization": f"token {speaking.lab.token}"})
    with urllib.request.urlopen(broken, timeout=20) as answer, pytest.raises(http.client.IncompleteRead):
        answer.read()


def test_the_openai_client_gets_each_part_at_once_at_each_address(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    openai = pytest.importorskip("openai")
    monkeypatch.setenv("SSL_CERT_FILE", str(speaking.authority.file))
    go = speaking.folder / "go"
    for kind, key in (("loopback", speaking.key), ("https", speaking.key), ("lab", speaking.lab.token)):
        go.unlink(missing_ok=True)
        base_url = speaking.address(kind)["address"] + "/v1"
        client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)
        stream = client.chat.completions.create(
            model="speaks", messages=[{"role": "user", "content": "?"}], stream=True
        )
        assert next(stream).choices[0].delta.content == "one", kind
        go.touch()  # the program sends nothing more until then
        assert [each.choices[0].delta.content for each in stream] == ["two"], kind
        with pytest.raises(openai.APIStatusError):
            openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).models.list()
    monkeypatch.delenv("SSL_CERT_FILE")
    base_url = speaking.address("https")["address"] + "/v1"
    with pytest.raises(openai.APIConnectionError):  # an authority that nobody has named
        openai.OpenAI(base_url=base_url, api_key=speaking.key, max_retries=0).models.list()
    context = ssl.create_default_context(cafile=speaking.authority.file)
    client = openai.OpenAI(
        base_url=base_url, api_key=speaking.key, http_client=openai.DefaultHttpxClient(verify=context)
    )
    assert client.models.list().data is None
    url, headers = f"{base_url}/models", {"Authorization": f"Bearer {speaking.key}"}
    assert httpx.get(url, headers=headers, verify=context).status_code == 200
    curl = [
        "curl",
        "-sS",
        "--cacert",
        str(speaking.authority.file),
        "-H",
        f"Authorization: {headers['Authorization']}",
    ]
    if shutil.which("curl"):
        assert subprocess.run([*curl, url], capture_output=True, check=True).stdout == b"{}"
