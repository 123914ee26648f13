"""Check the environment of this process: container, hub, network, GPUs and kernel provisioner."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path

from genops_lab.core.models import Check
from genops_lab.core.settings import Settings

PROVISIONER = "genops-local-provisioner"
_PROXIES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "*")


def examine(settings: Settings, in_server: bool) -> list[Check]:
    """Check environment, hub, network, GPU driver and kernel provisioner."""
    return [_environment(), _hub(settings, in_server), _network(), _gpu(), _provisioner(in_server)]


def _environment() -> Check:
    prefix = Path(sys.prefix)
    if (prefix / "conda-meta").is_dir():
        kind = "conda environment"
    elif sys.prefix != sys.base_prefix:
        kind = "virtual environment"
    else:
        kind = "system installation"
    where = f"{kind} at {sys.prefix}, on {sys.platform}"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        where += ", in a container"
    elif "KUBERNETES_SERVICE_HOST" in os.environ:
        where += ", in a pod"
    return Check(id="environment", title="Environment", state="ok", detail=where)


def _hub(settings: Settings, in_server: bool) -> Check:
    on_hub = settings.hub or "JUPYTERHUB_SERVICE_PREFIX" in os.environ
    detail = "On a JupyterHub." if on_hub else "Not on a JupyterHub."
    if in_server:
        detail += f" The base URL is {settings.base_url}."
    return Check(id="hub", title="Hub", state="info", detail=detail)


def _network() -> Check:
    title = "Network"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Check(
            id="network",
            title=title,
            state="error",
            detail=f"Cannot open a port on the loopback interface: {error.strerror}.",
            hint="Deployments need loopback ports. Check the rules of the firewall or sandbox.",
        )
    excepted = ",".join(os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy")).split(",")
    if any(os.environ.get(name) for name in _PROXIES) and not any(
        entry.strip() in _LOOPBACK for entry in excepted
    ):
        return Check(
            id="network",
            title=title,
            state="warning",
            detail="A proxy is set, also for loopback addresses.",
            hint="Set NO_PROXY=localhost,127.0.0.1. Otherwise requests to deployments go to the proxy.",
        )
    return Check(id="network", title=title, state="ok", detail="Loopback ports can be opened.")


def _gpu() -> Check:
    from genops_lab.agent.gpus import DRIVER, GpuReader

    title, found = "GPU driver", GpuReader().read()
    kernel_module = Path(DRIVER).read_text() if Path(DRIVER).exists() else ""
    if found.state == "ok":
        version = re.search(r" (\d+\.[\d.]+) ", kernel_module)
        cards = ", ".join(f"{n} x {name}" for name, n in Counter(card["name"] for card in found.gpus).items())
        detail = f"NVIDIA driver {version.group(1)}: {cards}." if version else f"{cards}."
        return Check(id="gpu", title=title, state="ok", detail=f"{detail} {found.message}".strip())
    if found.state == "error" and kernel_module:
        return Check(
            id="gpu",
            title=title,
            state="error",
            detail=found.message,
            hint="After an upgrade the driver and its library often differ. Restart the machine or the container.",
        )
    return Check(id="gpu", title=title, state="info", detail=found.message or "This machine has no GPU.")


def _provisioner(in_server: bool) -> Check:
    title = "Kernels"
    known = [each.name for each in entry_points(group="jupyter_client.kernel_provisioners")]
    if PROVISIONER not in known:
        return Check(
            id="provisioner",
            title=title,
            state="error",
            detail="Jupyter does not find the kernel provisioner of GenOps Lab.",
            hint="Install genops-lab again in the environment of JupyterLab.",
        )
    if not in_server:
        detail = "The kernel provisioner is installed. Start JupyterLab to check that it is used."
        return Check(id="provisioner", title=title, state="info", detail=detail)
    from jupyter_client.provisioning.factory import KernelProvisionerFactory

    used = KernelProvisionerFactory.instance().default_provisioner_name
    if used != PROVISIONER:
        return Check(
            id="provisioner",
            title=title,
            state="warning",
            detail=f"The provisioner {used!r} starts kernels. "
            "Each environment then needs genops-lab for %load_ext genops_lab.",
            hint=f"Unset KernelProvisionerFactory.default_provisioner_name, or set it to {PROVISIONER!r}.",
        )
    return Check(
        id="provisioner", title=title, state="ok", detail="New kernels find GenOps Lab in any environment."
    )
