"""Load the model, and say plainly why it cannot be loaded."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Parts of scikit-learn that import torch, cupy and dask. It loads them when it is given data of these.
_ARRAY_LIBRARIES = tuple(f"sklearn.externals.array_api_compat.{name}" for name in ("torch", "cupy", "dask"))


def load(folder: str) -> Any:
    """Load a model as MLflow's scoring server does."""
    import mlflow.pyfunc

    # Part of the start, so that the first request does not wait for the import.
    from mlflow.pyfunc import scoring_server  # noqa: F401

    # MLflow's server says so too: some models write their answers otherwise then.
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    if _is_skops(folder):
        with _without_array_libraries(), contextlib.suppress(ImportError):
            import skops.io  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    model = mlflow.pyfunc.load_model(folder)
    model.model_folder = folder
    return model


def _is_skops(folder: str) -> bool:
    try:
        return "serialization_format: skops" in (Path(folder) / "MLmodel").read_text("utf-8", "replace")
    except OSError:  # MLflow says what is missing
        return False


@contextlib.contextmanager
def _without_array_libraries() -> Iterator[None]:
    """Keep an import of skops from importing torch: it walks over all of scikit-learn, which takes 3 s more then."""

    class Refusing:
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
            if name in _ARRAY_LIBRARIES:
                raise ImportError(name)

    refusing: Any = Refusing()
    sys.meta_path.insert(0, refusing)
    try:
        yield
    finally:
        sys.meta_path.remove(refusing)


def load_failure(error: BaseException) -> tuple[str, str]:
    """Return the message and hint for a model that failed to load."""
    text = f"{type(error).__name__}: {error}"
    first = text.strip().splitlines()[0][:300]
    if "MLFLOW_ALLOW_PICKLE_DESERIALIZATION" in text or "pickle" in text.lower():
        return (
            f"The model is saved as a pickle, which needs your confirmation to load. {first}",
            "Deploy it again and confirm that you trust it. Or save it without pickle: scikit-learn with "
            "serialization_format='skops', PyTorch with an input_example (pt2).",
        )
    if isinstance(error, ModuleNotFoundError):
        return (
            f"The model needs the package {error.name!r}, which its environment does not have.",
            "Log the model with the package in pip_requirements or extra_pip_requirements, then register it again.",
        )
    if isinstance(error, MemoryError):
        return (
            "The machine has too little memory for the model.",
            "Stop kernels or deployments, then deploy the model again.",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "The disk is full.", "Free some disk space, then deploy again."
    return (
        f"Cannot load the model. {first}",
        "The log has the whole error. Correct the code that logs the model, then log and register it again.",
    )
