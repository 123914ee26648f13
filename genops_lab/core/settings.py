"""What GenOps Lab is told before it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .paths import data_dir

if TYPE_CHECKING:
    from ..hosts.models import NewTarget


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of one Lab. ``mlflow_uri`` is empty for the embedded MLflow; ``locked`` names what an
    administrator fixed, with the value to show. ``targets`` are the administrator's; None where nobody can tell
    (a command without a server leaves them as they are)."""

    data_dir: Path
    store_url: str = ""
    mlflow_uri: str = ""
    #: what is switched on; empty: all
    rooms: tuple[str, ...] = ()
    deployment_lease_s: float = 24 * 3600.0
    outputs_left_to_page_s: float = 20.0
    cell_output_bytes: int = 1_000_000
    cell_outputs: int = 2_000
    keep_local_kernels: bool = False
    locked: dict[str, str] = field(default_factory=dict)
    root_dir: Path | None = None
    base_url: str = "/"
    hub: bool = False
    targets: tuple[NewTarget, ...] | None = None
    allow_user_targets: bool = True
    #: by kind and field of a target: its default, minimum, maximum, choices and locked
    target_fields: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @staticmethod
    def from_environment() -> Settings:
        """The defaults of a command that runs without a server."""
        return Settings(data_dir=data_dir(), mlflow_uri=os.environ.get("MLFLOW_TRACKING_URI", ""))
