"""Put the batches that a process predicted together with the ids, labels and groups of the data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from genops_lab.core.errors import Failed
from genops_lab.evaluations.predictions import GROUP, SCORE, Predictions, of_texts, of_values
from genops_lab.evaluations.runner import ANSWERS, merged

from .data_sets import ROLES


def predictions_of(folder: Path, model: Path | None, about: dict[str, Any]) -> Predictions:
    """Return the predictions in ``model`` for the rows of ``roles.parquet``; None: no predictions yet."""
    import pyarrow.parquet as pq

    roles = pq.read_table(folder / ROLES)
    ids = of_texts(roles["id"].to_pylist())
    answers, scores, latency = ([None] * len(ids), {}, []) if model is None else _answers(model)
    if len(answers) != len(ids):
        raise Failed(
            f"{len(answers):,} of {len(ids):,} rows were predicted.", hint="Evaluate the version again."
        )
    return Predictions(
        ids=ids,
        labels=of_values(roles["label"].to_pylist()),
        predictions=of_values(answers),
        scores={name: np.array(each, np.float64) for name, each in scores.items()},
        groups={
            name.removeprefix(GROUP): of_texts(roles[name].to_pylist())
            for name in roles.column_names
            if name.startswith(GROUP)
        },
        latency_s=np.array(latency, np.float64) if latency else None,
        about=about,
    )


def _answers(model: Path) -> tuple[list[Any], dict[str, list[Any]], list[float]]:
    """Return predictions, scores and latencies: of the batches, or of the file that came from a host."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (model / ANSWERS).exists():
        return merged(model)
    try:
        table = pq.read_table(model / ANSWERS)
        scores = {
            name.removeprefix(SCORE): table[name] for name in table.column_names if name.startswith(SCORE)
        }
        return (
            table["prediction"].to_pylist(),
            {name: each.cast(pa.float64()).to_pylist() for name, each in scores.items()},
            table["latency_s"].cast(pa.float64()).to_pylist(),
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise Failed(
            f"The predictions that came from the host cannot be read: {error}.",
            hint="Evaluate the version again.",
        ) from error
