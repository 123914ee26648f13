"""Addresses under which a person opens a run: MLflow's own page of it, and GenOps Lab."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from .mlflow import without_credentials
from .models import Run

_PUBLIC_HUB, _HUB_HOST, _HUB_BASE = "JUPYTERHUB_PUBLIC_HUB_URL", "JUPYTERHUB_HOST", "JUPYTERHUB_BASE_URL"
_SHARE_HINT = (
    "To share runs, let everybody's Lab use one MLflow server: MLFLOW_TRACKING_URI, or GenOpsLab.mlflow_uri in the "
    "server's configuration."
)


class RunLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run can be opened, without credentials.

    ``mlflow`` is MLflow's own page, empty where MLflow has none. ``lab`` is behind any Lab's base URL, ``hub`` opens
    each user's own server (a path where the hub's address is not known), empty off a hub. Where no colleague can see
    the run, ``shared`` is false, and ``why`` and ``hint`` say what to do.
    """

    run_id: str
    name: str
    mlflow: str
    lab: str
    hub: str
    shared: bool
    why: str = ""
    hint: str = ""


def links_of(run: Run, tracking_uri: str, environment: Mapping[str, str] = os.environ) -> RunLinks:
    """The links of a run that the MLflow at ``tracking_uri`` has."""
    uri = without_credentials(tracking_uri)
    parts = urlsplit(uri)
    lab = f"lab?genops-run={quote(run.run_id, safe='')}"
    mlflow, why = "", ""
    if parts.scheme in ("http", "https"):
        # MLflow's UI routes behind the hash.
        experiment, run_id = (quote(part, safe="") for part in (run.experiment_id, run.run_id))
        mlflow = f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"
        if _is_loopback(parts.hostname or ""):
            why = f"MLflow's address {parts.netloc} is one of this machine alone."
    elif parts.scheme in ("", "file", "sqlite"):
        why = "A colleague cannot open this run: it is in a file of yours, not on a server."
    return RunLinks(
        run_id=run.run_id,
        name=run.name,
        mlflow=mlflow,
        lab=lab,
        hub=_hub_link(lab, environment),
        shared=not why,
        why=why,
        hint=_SHARE_HINT if why else "",
    )


def _hub_link(lab: str, environment: Mapping[str, str]) -> str:
    """By JupyterHub's ``user-redirect``, which keeps the query and opens the server of whoever follows it."""
    hub = environment.get(_PUBLIC_HUB, "")
    if not hub and (base := environment.get(_HUB_BASE, "")):
        hub = f"{environment.get(_HUB_HOST, '')}{base.rstrip('/')}/hub/"
    return f"{hub.rstrip('/')}/user-redirect/{lab}" if hub else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
