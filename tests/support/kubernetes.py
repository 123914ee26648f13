"""A real Kubernetes of one node for tests, and pods that have this machine's Python.

Each module that needs it starts and stops it (``shared/k8s`` beside the checkout).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from genops_lab.hosts import providers
from genops_lab.hosts.link.route import Route

NODE, IMAGE = "node1", "localhost/busybox:1"
#: A user of pods that is no account of this machine: tests end all processes of the accounts that they make.
POD_USER = 64_123
_UP_S = 180.0


def scripts() -> Path | None:
    """The folder that starts a cluster, where there is one. A worktree lies a folder deeper than the checkout."""
    places = [parent / "shared" / "k8s" for parent in Path(__file__).resolve().parents[2:]]
    return next((place for place in places if (place / "up.sh").is_file()), None)


class Cluster:
    """``kubeconfig`` is the administrator's; its context is ``x``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "etc" / "admin.kubeconfig"

    def kubectl(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *words],
            input=stdin, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *objects: dict[str, Any] | str) -> None:
        """Create or change objects."""
        text = "\n---\n".join(each if isinstance(each, str) else json.dumps(each) for each in objects)
        self.kubectl("apply", "-f", "-", stdin=text)

    def namespace(self, name: str) -> str:
        """A namespace without what an earlier run left."""
        if self.kubectl("get", "ns", name, "--ignore-not-found"):
            self.kubectl("delete", "ns", name)
        self.kubectl("create", "ns", name)
        until(lambda: self.kubectl("-n", name, "get", "sa", "default", check=False))
        return name

    def gpus(self, count: int) -> None:
        """Let the node claim that many GPUs."""
        path = f"/api/v1/nodes/{NODE}/status"
        patch = [{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": str(count)}]
        with self.proxy() as url:
            _patch(url + path, patch)
        look = ("get", "node", NODE, "-o", "jsonpath={.status.allocatable.nvidia\\.com/gpu}")
        until(lambda: self.kubectl(*look) == str(count))

    @contextmanager
    def proxy(self) -> Iterator[str]:
        """The API without TLS, on this machine's loopback: kubectl 1.20's patch has no --subresource."""
        process = subprocess.Popen(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), "proxy", "--port=0"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield "http://" + process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """The pods of a namespace."""
        return list(json.loads(self.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"])

    def kill_api_server(self) -> None:
        """End it as a crash does, and start it again."""
        self.restart("apiserver")

    def restart(self, daemon: str) -> None:
        """End a daemon of the cluster (``apiserver``, ``kubelet``) as a crash does, and start it again."""
        pid = int((self.folder / "run" / f"{daemon}.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        environment = dict(each.split(b"=", 1) for each in entries if b"=" in each)  # not this test's home
        ended = psutil.Process(pid)
        ended.kill()
        ended.wait(30)  # its port is free then
        with (self.folder / "log" / f"{daemon}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / "run" / f"{daemon}.pid").write_text(f"{process.pid}\n")

    @contextmanager
    def second_node(self) -> Iterator[str]:
        """A second node, ``node2``, in a network of its own."""
        folder = scripts()
        assert folder is not None
        done = self.run(folder / "node2-up.sh")
        try:
            if done.returncode or "node2" not in done.stdout:
                pytest.fail(f"The second node did not start:\n{self.last_words(done)}", pytrace=False)
            yield "node2"
        finally:
            self.run(folder / "node2-down.sh")

    def cut(self, node: str, *, mend: bool = False) -> None:
        """Take the second node's cable out, or put it back."""
        link = node.replace("node", "v")
        subprocess.run(["ip", "link", "set", link, "up" if mend else "down"], check=True, timeout=30)

    def run(self, script: Path) -> subprocess.CompletedProcess[str]:
        """Run a script of shared/k8s."""
        environment = {**os.environ, "K": str(self.folder)}
        return subprocess.run(
            [script], env=environment, capture_output=True, text=True, timeout=_UP_S, check=False
        )

    def kill_container(self, pod: dict[str, Any], container: str) -> None:
        """Kill a container's first process: the kernel ends all others of its process namespace."""
        statuses = pod["status"]["containerStatuses"]
        found = next(each["containerID"] for each in statuses if each["name"] == container)
        listed = self.ctr("tasks", "ls")
        line = next(each for each in listed.splitlines() if each.startswith(found.rpartition("/")[2]))
        os.kill(int(line.split()[1]), signal.SIGKILL)

    def last_words(self, done: subprocess.CompletedProcess[str]) -> str:
        """What the script said at last, and the ends of the logs of its programs."""
        logs = sorted((self.folder / "log").glob("*.log"), key=lambda file: file.stat().st_mtime)
        ends = [f"{file.name}: {file.read_text(errors='replace')[-500:]}" for file in logs[-3:]]
        return "\n".join([done.stdout[-500:], done.stderr[-500:], *ends])

    def ctr(self, *words: str) -> str:
        socket = str(self.folder / "run" / "containerd.sock")
        return subprocess.run(
            ["ctr", "-a", socket, "-n", "k8s.io", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def account(self, manifests: str, namespace: str, folder: Path) -> Path:
        """Apply a printed role; return a kubeconfig with the token of its account."""
        from genops_lab.hosts.providers.kubernetes.role import NAME

        self.apply(manifests)
        look = ("-n", namespace, "get", "sa", NAME, "-o", "jsonpath={.secrets[0].name}")
        secret = until(lambda: self.kubectl(*look))
        token = self.kubectl("-n", namespace, "get", "secret", secret, "-o", "jsonpath={.data.token}")
        content = yaml.safe_load(self.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": base64.b64decode(token).decode()}
        file = folder / "account.kubeconfig"
        file.write_text(json.dumps(content))
        return file

    def route(self, name: str, namespace: str, folder: Path, *, grace_s: int = 6, **config: Any) -> Route:
        """The route to a target whose pods have this machine's Python, and a short notice before their end."""
        template = folder / "pod.yaml"
        folder.mkdir(parents=True, exist_ok=True)
        template.write_text(yaml.safe_dump(_template(grace_s)))
        given = {
            "context": "x", "kubeconfig": str(self.kubeconfig), "namespace": namespace, "image": IMAGE,
            "python": sys.executable, "pod_template": str(template), **config,
        }  # fmt: skip
        return providers.route_of(name, "kubernetes", **given)


def _template(grace_s: int) -> dict[str, Any]:
    """A pod with the folders of this machine that its Python needs."""
    shown = {"/usr": "/usr", "/lib": "/usr/lib", "/lib64": "/usr/lib64"}
    base = Path(sys.base_prefix).resolve()
    for path in (base, Path(sys.prefix), Path(__file__).resolve().parents[2]):
        if not any(path.is_relative_to(each) for each in shown):
            shown[str(path)] = str(path)
    volumes = [{"name": f"v{at}", "hostPath": {"path": path}} for at, path in enumerate(shown.values())]
    mounts = [{"name": f"v{at}", "mountPath": path, "readOnly": True} for at, path in enumerate(shown)]
    kernel = {
        "name": "kernel", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts,
        "env": [{"name": "PATH", "value": f"{Path(sys.executable).parent}:/usr/bin:/bin"}],
    }  # fmt: skip
    spec = {"containers": [kernel], "volumes": volumes, "terminationGracePeriodSeconds": grace_s}
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def _patch(url: str, patch: list[dict[str, Any]]) -> None:
    import urllib.request

    request = urllib.request.Request(url, method="PATCH", data=json.dumps(patch).encode())
    request.add_header("Content-Type", "application/json-patch+json")
    urllib.request.urlopen(request, timeout=30).close()


def until(good: Any, deadline_s: float = 60.0) -> Any:
    """What ``good`` returned when it was true."""
    deadline = time.monotonic() + deadline_s
    while not (found := good()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
    return found


_running: list[Cluster] = []


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A new cluster, one at a time on a machine; what an earlier run left ends first.

    Skips without the scripts or without root. A cluster that does not start is a failure.
    """
    folder = scripts()
    if folder is None:
        pytest.skip("shared/k8s is not beside the checkout")
    if os.geteuid() != 0:
        pytest.skip("a Kubernetes of this machine needs root")
    cluster = Cluster(Path(os.environ.get("K") or "/tmp/genops-k8s"))
    if _running:  # of another fixture of this module
        yield cluster
        return
    cluster.folder.mkdir(parents=True, exist_ok=True)
    with (cluster.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (cluster.folder / "run" / "kubelet2.pid").exists():
            cluster.run(folder / "node2-down.sh")
        cluster.run(folder / "down.sh")
        done = cluster.run(folder / "up.sh")
        try:
            if done.returncode:
                pytest.fail(f"Kubernetes did not start:\n{cluster.last_words(done)}", pytrace=False)
            _running.append(cluster)
            yield cluster
        finally:
            _running.clear()
            started = [int(file.read_text()) for file in (cluster.folder / "run").glob("*.pid")]
            cluster.run(folder / "down.sh")
            for pid in started:  # the API server waits a minute for its watches
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
