"""Name the tags of runs that GenOps Lab and MLflow write; cheap to import."""

from __future__ import annotations

RUN_KEY_TAG = "genops.run_key"
#: Tags of a run in a kernel on another host: the target, and the kernel that alone may write the run.
TARGET_TAG = "genops.target"
KERNEL_TAG = "genops.kernel"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
#: The lowest and highest values of a run's metrics (:mod:`.backends.extremes`).
EXTREMES_TAG = "genops.extremes"
#: Tags that only GenOps Lab uses.
HIDDEN_TAGS = (RUN_KEY_TAG, KERNEL_TAG, EXTREMES_TAG)
