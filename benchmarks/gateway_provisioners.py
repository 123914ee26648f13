"""gateway-provisioners on the same cluster, in an environment of its own: the baseline of kernels in pods."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.homes import Home
from tests.support.kubernetes import IMAGE, Cluster

from .compute_measures import Line, figure, left_out

NAME = "gateway-provisioners"
VERSION = "0.5.0"
NAMESPACE, KERNEL = "gateway", "gateway"
#: The node's address for pods, where the provisioner listens for its kernels.
_NODE_IP = "10.77.0.1"
_LIMIT_S = 300.0


def measured(cluster: Cluster, home: Home) -> Line:
    """Return its figures by name; empty where it cannot be had."""
    folder = home.path / "gateway"
    folder.mkdir()
    python = _installed(folder)
    if python is None:
        return {}
    cluster.namespace(NAMESPACE)
    _kernelspec(cluster, folder, python)
    environment = home.environment(
        KUBECONFIG=str(cluster.kubeconfig), JUPYTER_PATH=str(folder / "share" / "jupyter"),
        GP_USE_INCLUSTER_CONFIG="false", GP_RESPONSE_IP=_NODE_IP, GP_NAMESPACE=NAMESPACE,
        KERNEL_NAMESPACE=NAMESPACE, KERNEL_SERVICE_ACCOUNT_NAME="default", KERNEL_USERNAME="bench",
        KERNEL_LAUNCH_TIMEOUT="60", GP_MIRROR_WORKING_DIRS="false", PATH=f"{python.parent}:{os.environ['PATH']}",
    )  # fmt: skip
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    # A copy: beside the original, `statistics` is a module of the benchmarks.
    probe = shutil.copy(Path(__file__).with_name("gateway_provisioners_probe.py"), folder)
    with (folder / "noise").open("wb") as noise:
        try:
            done = subprocess.run(
                [python, probe, KERNEL], env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=noise,
                text=True, timeout=_LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            left_out(f"{NAME} {VERSION}: no figures within {_LIMIT_S:.0f} s")
            return {}
    if done.returncode:
        last = (folder / "noise").read_text(errors="replace").strip().splitlines()[-1:]
        left_out(f"{NAME} {VERSION} failed: {''.join(last)[:300]}")
        return {}
    found: Line = json.loads(done.stdout.splitlines()[-1])
    return found


def alone(found: Line) -> Iterator[Line]:
    """Yield its figures where no others are measured."""
    for name, unit in (("starts", "s"), ("stdout_100_mb", "s"), ("lost", "lost")):
        yield figure(f"gateway_provisioners_{name}", unit, found[name])


def _installed(folder: Path) -> Path | None:
    """Install it with pip into an environment of its own; return its Python."""
    made = folder / "venv"
    python = made / "bin" / "python"
    commands: list[list[str]] = [
        [sys.executable, "-m", "venv", str(made)],
        [str(python), "-m", "pip", "install", "-q", f"{NAME}[k8s]=={VERSION}", "ipykernel"],
        [str(made / "bin" / "jupyter-k8s-spec"), "install", "--prefix", str(folder), "--image-name", IMAGE,
         "--kernel-name", KERNEL],
    ]  # fmt: skip
    for command in commands:
        if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
            left_out(f"{NAME} {VERSION} cannot be installed")
            return None
    return python


def _kernelspec(cluster: Cluster, folder: Path, python: Path) -> None:
    """Let its pods have this machine's Python and its launcher, as an image made for it has."""
    scripts = folder / "share" / "jupyter" / "kernels" / KERNEL / "scripts"
    cluster.route("gateway", NAMESPACE, folder / "target")  # for the template of a pod
    template = yaml.safe_load((folder / "target" / "pod.yaml").read_text())
    spec: dict[str, Any] = template["spec"]
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages/gateway_provisioners")
    shutil.copytree(site / "kernel-launchers" / "python" / "scripts", folder / "launcher")
    shutil.copy(site / "kernel-launchers" / "shared" / "scripts" / "server_listener.py", folder / "launcher")
    spec["volumes"].append({"name": "own", "hostPath": {"path": str(folder)}})
    container = spec["containers"][0]
    container["volumeMounts"].append({"name": "own", "mountPath": str(folder)})
    container.update(
        name="{{ kernel_pod_name }}",
        command=["/bin/sh", "-c",
            f"exec {python} {folder}/launcher/launch_ipykernel.py --kernel-id $KERNEL_ID --port-range $PORT_RANGE "
            "--response-address $RESPONSE_ADDRESS --public-key $PUBLIC_KEY "
            "${TRANSPORT_ENCRYPTION:+--transport-encryption $TRANSPORT_ENCRYPTION} "
            "--kernel-class-name ipykernel.ipkernel.IPythonKernel"],
        env=[{"name": "HOME", "value": "/tmp"}],
    )  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "{{ kernel_pod_name }}", "namespace": "{{ kernel_namespace }}",
            "labels": {"kernel_id": "{{ kernel_id }}", "app": "gateway-provisioners", "component": "kernel"},
        },
        "spec": {"restartPolicy": "Never", "serviceAccountName": "{{ kernel_service_account_name }}", **spec},
    }  # fmt: skip
    (scripts / "kernel-pod.yaml.j2").write_text(yaml.safe_dump(pod))
