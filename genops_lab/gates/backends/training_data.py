"""Read the training data of versions, as evaluations read their data: by source, with the digest checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.evaluations.backends.data_sets import EvaluationData
from genops_lab.evaluations.models import DataSet
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.gates.drift_rules import DriftEvidence, Table
from genops_lab.gates.metrics import CannotBeChecked

#: A larger file would need several times its size in memory.
MOST_BYTES = 500_000_000
_CONTEXT = "mlflow.data.context"
_TRAINING = ("training", "train")
_LOG = 'Log it in the run: mlflow.log_input(dataset, context="training"), or genops.dataset(FILE).'


class TrainingData(EvaluationData):
    """Finds the data sets that runs were trained on."""

    def compared(self, run: Any, other_run: Any, nobody: str, data: str) -> DriftEvidence:
        """Return the training data of a run, and of the other run or the evaluation data (NAME@DIGEST) ``data``.

        ``nobody``: why there is no other run.
        """
        try:
            if run is None:
                raise CannotBeChecked("the version has no run", _LOG)
            one = self._training_set(run, "the version's run")
            if data:
                other, what = self.find(data, ""), f"the evaluation data {data}"
            elif other_run is None:
                raise CannotBeChecked(nobody)
            else:
                other, what = (
                    self._training_set(other_run, "the other version's run"),
                    "the other version's data",
                )
            if (one.name, one.digest) == (other.name, other.digest) and not data:
                return DriftEvidence(same=f"{one.name}@{one.digest[:12]}")
            return DriftEvidence(candidate=self._columns(one), other=self._columns(other), what=what)
        except CannotBeChecked as error:
            return DriftEvidence(problem=error.clause, hint=error.detail)
        except (NotFound, InvalidRequest, Failed) as error:
            clause = error.message[:1].lower() + error.message[1:].rstrip(".")
            return DriftEvidence(problem=clause, hint=error.hint)

    def _training_set(self, run: Any, whose: str) -> DataSet:
        inputs = list(run.inputs.dataset_inputs) if run.inputs is not None else []
        contexts = [next((tag.value for tag in each.tags if tag.key == _CONTEXT), "") for each in inputs]
        found = [each for each, context in zip(inputs, contexts, strict=True) if context in _TRAINING]
        found = found or [each for each, context in zip(inputs, contexts, strict=True) if not context]
        if not found:
            raise CannotBeChecked(f"{whose} recorded no training data", _LOG)
        names = sorted({f"{each.dataset.name}@{each.dataset.digest[:12]}" for each in found})
        if len(names) > 1:
            raise CannotBeChecked(
                f"{whose} has {len(names)} sets of training data: {', '.join(names[:3])}",
                'Give one of them the context "training".',
            )
        dataset = found[0].dataset
        return DataSet(
            name=dataset.name, digest=dataset.digest, source_type=dataset.source_type or "", source=dataset.source or ""
        )  # fmt: skip

    def _columns(self, found: DataSet) -> Table:
        with mlflow_errors(f"The data set {found.name!r} could not be read"):
            frame = self.table(found, MOST_BYTES)
        return {str(name): _values(frame[name]) for name in frame.columns}


def _values(column: Any) -> Any:
    """Return numbers and times as floats with NaN, all else as texts with None."""
    import pandas as pd  # type: ignore[import-untyped]

    kinds = pd.api.types
    if (
        kinds.is_numeric_dtype(column)
        and not kinds.is_bool_dtype(column)
        and not kinds.is_complex_dtype(column)
    ):
        return column.to_numpy(np.float64, na_value=np.nan)
    if kinds.is_datetime64_any_dtype(column):
        return np.where(column.isna(), np.nan, column.astype("int64").to_numpy(np.float64))
    found = np.empty(len(column), object)
    found[:] = [None if gone else str(each) for each, gone in zip(column, column.isna(), strict=True)]
    return found
