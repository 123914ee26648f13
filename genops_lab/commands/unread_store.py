"""Notice an MLflow database that a script made in the working folder, and that this command does not read."""

from __future__ import annotations

import os
from pathlib import Path

#: The database that mlflow makes in the working folder if it gets no address.
NAME = "mlflow.db"


def unread_store(folder: Path) -> str:
    """Return a remark about the folder's own MLflow database, or "" if there is none or MLflow's address is set."""
    file = folder / NAME
    if os.environ.get("MLFLOW_TRACKING_URI") or not file.is_file():
        return ""
    return (
        f"This folder has an MLflow database of its own, {NAME}, which was not read: a script without GenOps wrote "
        f"it. To use it: export MLFLOW_TRACKING_URI=sqlite:///{file.absolute()}. Then restart a running JupyterLab."
    )
