"""Note in MLflow's traces the notebook and the cell that made them, without importing mlflow."""

from __future__ import annotations

import functools
from typing import Any, Dict

from .cells import cell_id_of
from .display import shell
from .imports import when_imported
from .paths import notebook_path

_MODULE = "mlflow.tracing.processor.base_mlflow"
_PROCESSOR, _METADATA = "BaseMlflowSpanProcessor", "_get_basic_trace_metadata"
#: Metadata of a trace, which MLflow's own pages show too.
NOTEBOOK, CELL = "genops.notebook", "genops.cell"
_followed = False


def follow() -> None:
    """Add to the metadata with which MLflow (3.2 or later) begins a trace, once mlflow is imported."""
    global _followed
    if not _followed:
        _followed = True
        when_imported(_MODULE, _attach)


def _attach(module: Any) -> None:
    processor = getattr(module, _PROCESSOR, None)
    original = getattr(processor, _METADATA, None)
    if original is None:  # another MLflow: its traces lack the cell, and nothing else
        return

    @functools.wraps(original)
    def metadata(self: Any, *arguments: Any, **options: Any) -> Any:
        found = original(self, *arguments, **options)
        if isinstance(found, dict):
            for key, value in _place().items():
                found.setdefault(key, value)
        return found

    setattr(processor, _METADATA, metadata)


def _place() -> Dict[str, str]:
    found = {NOTEBOOK: notebook_path()}
    ours = shell()
    if ours is not None and hasattr(ours, "history_manager"):
        # The last one runs now; in new versions of IPython execution_count is the next one's already.
        found[CELL] = cell_id_of(ours, len(ours.history_manager.input_hist_raw) - 1)
    return {key: value for key, value in found.items() if value}
