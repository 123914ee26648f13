"""A real JupyterHub with two real Linux users: each sees the panel, neither reaches the other's things."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import APIRequestContext, Browser, Page

from tests.support import exhaustive
from tests.support.browser import CHROMIUM, WHY_NOT, chromium
from tests.support.environments import NEWEST, environment_with_wheel, find_python
from tests.support.lab_server import NO_NODE, free_port
from tests.support.rooms import eventually

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "node_modules" / ".bin" / "configurable-http-proxy"
SPEAKING = ROOT / "tests" / "deployments" / "speaking_app.py"
USERS = ("genops-ada", "genops-bob")

pytestmark = [
    pytest.mark.hub,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root makes Linux users"),
    pytest.mark.skipif(shutil.which("useradd") is None, reason="no useradd here"),
    pytest.mark.skipif(not PROXY.exists(), reason="configurable-http-proxy is not installed (jlpm install)"),
    pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT),
]


@dataclass
class Hub:
    """A running hub."""

    url: str
    password: str
    log: Path


def _system_python(minor: int) -> Path | None:
    found = find_python(minor)
    return found if found is not None and str(found.resolve()).startswith("/usr/") else None


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    system = next((found for minor in (13, 12, 11, 10) if (found := _system_python(minor))), None)
    if system is None:
        pytest.skip("no Python that other Linux users can reach (one under /usr)")
    python = environment_with_wheel(system, *NEWEST, compiled=True)
    folder = Path(tempfile.mkdtemp(prefix="gol-hub-"))
    for user in USERS:
        with contextlib.suppress(KeyError):
            pwd.getpwnam(user)
            subprocess.run(["userdel", "-rf", user], check=False, capture_output=True)
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", user], check=True)
        Path(pwd.getpwnam(user).pw_dir).chmod(0o700)
    ports = free_port()
    base_url, password = "/team/hub-a/", secrets.token_hex(24)
    node = shutil.which("node") or ""
    env = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "GENOPS_", "MLFLOW_"))
        },
        "PATH": os.pathsep.join([str(python.parent), str(Path(node).parent), os.environ["PATH"]]),
        "HUB_FOLDER": str(folder),
        "HUB_PORT": str(ports),
        "HUB_BASE_URL": base_url,
        "HUB_PROXY": str(PROXY),
        "HUB_NO_NODE": str(NO_NODE),
        "HUB_PASSWORD": password,
        "HUB_USERS": ",".join(USERS),
    }
    log_path = folder / "hub.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [str(python), "-m", "jupyterhub", "-f", str(Path(__file__).with_name("jupyterhub_config.py"))],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Hub(f"http://127.0.0.1:{ports}{base_url}", password, log_path)
    try:
        deadline = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(found.url + "hub/health", timeout=2):
                break
            assert process.poll() is None and time.monotonic() < deadline, log_path.read_text()[-4000:]
            time.sleep(0.2)
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
        for user in USERS:
            subprocess.run(["pkill", "-KILL", "-u", user], check=False)
            subprocess.run(["userdel", "-rf", user], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def _log_in_by_link(browser: Browser, hub: Hub, user: str, link: str) -> Page:
    """A page that follows a link: the hub asks who it is, starts the user's own server and leads there."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(hub.url + link)
    page.fill("#username_input", user)
    page.fill("#password_input", hub.password)
    page.click("#login_submit")
    page.wait_for_url(f"**/user/{user}/lab**", timeout=120_000)
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=90_000)
    page.wait_for_selector(".jp-LabShell", timeout=60_000)
    return page


def _log_in(browser: Browser, hub: Hub, user: str) -> APIRequestContext:
    """A browser's requests without a page, once the user's server runs."""
    requests = browser.new_context().request
    assert requests.get(hub.url + "hub/login").ok
    (key,) = [each["value"] for each in requests.storage_state()["cookies"] if each["name"] == "_xsrf"]
    form = {"username": user, "password": hub.password, "_xsrf": key}
    assert requests.post(hub.url + "hub/login?next=", form=form).ok
    deadline = time.monotonic() + 120
    while (
        answer := requests.get(f"{hub.url}user/{user}/lab")
    ).status != 200 or "/hub/" in answer.url.replace(hub.url, "/"):
        assert time.monotonic() < deadline, (answer.url, answer.status, hub.log.read_text()[-3000:])
        time.sleep(0.5)
    return requests


def _get(requests: APIRequestContext, url: str) -> tuple[int, str]:
    """A request as the Lab's page makes it, with the key of its cookie."""
    keys = [
        each["value"]
        for each in requests.storage_state()["cookies"]
        if each["name"] == "_xsrf" and each["path"] in url
    ]
    answer = requests.get(url, headers={"X-XSRFToken": keys[-1]} if keys else {})
    return answer.status, answer.text()


def _as_user(user: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": pwd.getpwnam(user).pw_dir, "PATH": os.environ["PATH"]},
        cwd="/",
    )


def test_each_user_has_the_panel_and_neither_reaches_the_other(hub: Hub, browser: Browser) -> None:
    ada, bob = USERS
    base = {user: f"{hub.url}user/{user}/" for user in USERS}
    # A link to a run opens in the own server of whoever follows it.
    link = f"hub/user-redirect/lab?genops-run={'0' * 32}"
    page = _log_in_by_link(browser, hub, ada, link)
    page.get_by_text("The run cannot be read.").wait_for(timeout=90_000)
    assert "genops-run" not in page.url
    page.locator("#genops-lab-panel").or_(page.get_by_role("tab", name="GenOps Lab")).first.wait_for()

    of_bob = _log_in(browser, hub, bob)
    led = of_bob.get(hub.url + link)
    assert led.url.startswith(base[bob] + "lab?genops-run=") and '"genops-lab"' in led.text(), led.url
    requests = {ada: page.context.request, bob: of_bob}
    for user in USERS:
        code, body = _get(requests[user], base[user] + "genops/status")
        assert code == 200, (code, body, hub.log.read_text()[-3000:])
        assert json.loads(body)["hub"] is True
        assert _get(requests[user], base[user] + "genops/compute/machine")[0] == 200

    # Over the hub: Bob's browser gets nothing of Ada's server.
    code, body = _get(of_bob, base[ada] + "genops/status")
    assert code in (403, 404) or "genops" not in body
    assert "mlflow_uri" not in body

    # On the machine: Bob's processes read no file and reach no socket of Ada's.
    home = pwd.getpwnam(ada).pw_dir
    assert _as_user(ada, "ls", f"{home}/.local/share/jupyter/genops").returncode == 0
    assert _as_user(bob, "ls", f"{home}/.local/share/jupyter/genops").returncode != 0
    sockets = [
        line.split()[-1]
        for line in Path("/proc/net/unix").read_text().splitlines()
        if "/lab-" in line and line.endswith(".sock")
    ]
    uid = pwd.getpwnam(ada).pw_uid
    of_ada = [path for path in sockets if Path(path).exists() and Path(path).stat().st_uid == uid]
    assert of_ada, "Ada's private socket is there"
    probe = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    python = "/usr/bin/python3"
    for path in of_ada:
        assert _as_user(ada, python, "-c", probe, path).returncode == 0
        assert "PermissionError" in _as_user(bob, python, "-c", probe, path).stderr

    if exhaustive.ALL:  # daily tests/experiments/test_server.py has it answer the key alone
        # Ada's MLflow server, which serves kernels with another mlflow, answers her key alone.
        _, body = _get(requests[ada], base[ada] + "genops/tracking/kernel?mlflow_version=2.22.0")
        tracking = json.loads(body)
        search = (
            "import sys, urllib.request as u; print(u.urlopen(u.Request(sys.argv[1], headers={'Authorization': "
            "'Bearer ' + sys.argv[2]}), timeout=120).status)"
        )
        address = tracking["tracking_uri"] + "/api/2.0/mlflow/experiments/search?max_results=1"
        assert _as_user(ada, python, "-c", search, address, tracking["token"]).stdout.strip() == "200"
        assert "HTTP Error 401" in _as_user(bob, python, "-c", search, address, "guessed").stderr

    # Whatever Ada's processes listen on with TCP answers Bob with a refusal, never with data.
    for port in _listening_ports(uid):
        for path in ("genops/status", "api/contents", "invocations", "api/2.0/mlflow/experiments/search"):
            assert _anonymous_status(port, path) in (0, 302, 401, 403, 404, 405), (port, path)


def test_a_deployment_is_called_through_the_hub_with_a_token_of_it(hub: Hub, browser: Browser) -> None:
    ada, bob = USERS
    of_ada = _log_in(browser, hub, ada)
    tokens = {ada: _token(hub, of_ada, ada), bob: _token(hub, _log_in(browser, hub, bob), bob)}
    home, entry = Path(pwd.getpwnam(ada).pw_dir), pwd.getpwnam(ada)
    shutil.copy(SPEAKING, home / "app.py")
    os.chown(home / "app.py", entry.pw_uid, entry.pw_gid)
    server = f"{hub.url}user/{ada}/"
    asked = {"command": f"python3 {home / 'app.py'}", "name": "speaks"}
    digest = json.loads(_call(server + "genops/deployment-checks", tokens[ada], asked)[1])["digest"]
    status, body = _call(server + "genops/deployments", tokens[ada], {**asked, "trust": digest})
    assert status == 200, body
    look = lambda: json.loads(_call(server + "genops/deployments/speaks", tokens[ada])[1])  # noqa: E731
    shown = eventually(look, lambda found: found["state"] not in ("preparing", "starting"), 90)
    assert shown["state"] == "running", shown
    said = {each["kind"]: each for each in shown["addresses"]}
    assert (
        said["https"]["problem"] and said["ssh"]["problem"] and said["lab"]["callers"].startswith(f"{ada}, ")
    )
    origin = hub.url.partition("/team/")[0]
    address = said["lab"]["address"].replace("https://HUB", origin)
    assert address == f"{server}genops/call/speaks"
    chat = {"model": "speaks", "messages": [], "stream": True}
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(chat).encode())
    request.add_header("Authorization", f"Bearer {tokens[ada]}")  # as the openai client sends it
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert b'"one"' in answer.readline()
        (home / "go").touch()  # the program sends nothing more until then
        assert b'"two"' in answer.read()
    key = json.loads(_call(server + "genops/deployments/speaks/key", tokens[ada])[1])["key"]
    for wrong in (tokens[bob], key, "wrong", ""):
        assert _call(f"{address}/echo", wrong, {})[0] in (401, 403), wrong
    assert _call(server + "genops/deployments/speaks/stop", tokens[ada], {})[0] == 200


def _token(hub: Hub, requests: APIRequestContext, user: str) -> str:
    """A new token, as the page Token of the hub makes it."""
    (key,) = [
        each["value"]
        for each in requests.storage_state()["cookies"]
        if each["name"] == "_xsrf" and each["path"].endswith("/hub/")
    ]
    answer = requests.post(f"{hub.url}hub/api/users/{user}/tokens?_xsrf={key}", data={"note": "a program"})
    assert answer.ok, answer.text()
    return str(answer.json()["token"])


def _call(url: str, token: str, body: object = None) -> tuple[int, str]:
    """A request of a program, which has no cookie."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, data, {"Authorization": f"token {token}"}), timeout=60
        ) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _listening_ports(uid: int) -> list[int]:
    ports = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[7]) == uid:
            ports.append(int(fields[1].split(":")[1], 16))
    return ports


def _anonymous_status(port: int, path: str) -> int:
    class Keep(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: object, **kwargs: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Keep).open(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except (TimeoutError, OSError, ValueError):
        return 0  # no HTTP there (a kernel's ZeroMQ port, which wants its key)
    except Exception as error:  # http.client.BadStatusLine and kin: no HTTP either
        assert type(error).__module__ == "http.client", error
        return 0
