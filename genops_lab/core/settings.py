"""Define the settings of GenOps Lab."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .paths import data_dir

if TYPE_CHECKING:
    from ..genai.endpoints.models import NewEndpoint
    from ..hosts.models import NewTarget


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process.

    ``mlflow_uri`` is empty for the embedded MLflow. ``locked`` has the settings that an administrator locked, each with
    the value to show. ``targets`` are the administrator's targets; None if they are unknown, as in a command without a
    server.
    """

    data_dir: Path
    store_url: str = ""
    mlflow_uri: str = ""
    #: Features that are on; empty: all.
    rooms: tuple[str, ...] = ()
    #: Files of public keys. Signatures of models count if one of these keys made them.
    trusted_keys: tuple[str, ...] = ()
    #: Whether a version without a valid signature is refused by deployments.
    signature_required: bool = False
    deployment_lease_s: float = 24 * 3600.0
    #: How long an earlier revision stays ready after an update.
    deployment_warm_s: float = 3600.0
    #: The name and port by which other machines reach deployments, such as gpu.example.org:8443; empty: they do not.
    deployment_https: str = ""
    deployment_certificate: str = ""
    deployment_certificate_key: str = ""
    outputs_left_to_page_s: float = 20.0
    cell_output_bytes: int = 1_000_000
    cell_outputs: int = 2_000
    keep_local_kernels: bool = False
    #: What kernels take out of traces and evaluation rows: off, secrets, personal.
    redact_traces: str = "off"
    locked: dict[str, str] = field(default_factory=dict)
    root_dir: Path | None = None
    base_url: str = "/"
    hub: bool = False
    #: The address of JupyterLab with its base URL; empty: none runs. On a hub the name may be a placeholder.
    lab_url: str = ""
    targets: tuple[NewTarget, ...] | None = None
    allow_user_targets: bool = True
    max_price_per_hour: float | None = None
    #: Default, minimum, maximum, choices and lock by kind and field of a target.
    target_fields: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    #: The administrator's models that answer.
    endpoints: tuple[NewEndpoint, ...] = ()
    #: Presets by target: name, resources, price_per_hour.
    target_presets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @staticmethod
    def from_environment() -> Settings:
        """Return the settings of a command that runs without a server."""
        mode = os.environ.get("GENOPS_REDACT_TRACES") or "off"
        return Settings(
            data_dir=data_dir(),
            mlflow_uri=os.environ.get("MLFLOW_TRACKING_URI", ""),
            redact_traces=mode if mode in ("off", "personal") else "secrets",
        )
