"""Filter the environment variables that a model's code may see: an allow-list without secrets.

The Lab and the agent of a host use this alike.
"""

from __future__ import annotations

import re
from typing import Dict, Mapping

_SCORING = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TMP|TEMP|SYSTEMROOT|LD_LIBRARY_PATH|DYLD_\w+|"
    r"CUDA_\w+|NVIDIA_\w+|HIP_\w+|ROCR_\w+|OMP_\w+|MKL_\w+|OPENBLAS_\w+|HF_HOME|TORCH_HOME|SSL_CERT_\w+"
)
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|CREDENTIAL|API_?KEY|ACCESS_?KEY|^JUPYTERHUB_|^JPY_|^SSH_", re.IGNORECASE
)


def scoring_environment(environ: Mapping[str, str]) -> Dict[str, str]:
    """Return the variables for the process that loads a model."""
    return {
        name: value
        for name, value in environ.items()
        if _SCORING.fullmatch(name) and not _SECRET.search(name)
    }


def model_environment(environ: Mapping[str, str], *, allow_pickle: bool) -> Dict[str, str]:
    """Return the variables of :func:`scoring_environment` and MLflow's settings; ``allow_pickle`` is its flag."""
    return {
        **scoring_environment(environ),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true" if allow_pickle else "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
