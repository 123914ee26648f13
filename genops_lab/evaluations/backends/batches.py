"""Put the batches that a process predicted together with the ids, labels and groups of the data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from genops_lab.core.errors import Failed
from genops_lab.evaluations.predictions import GROUP, Predictions, of_texts, of_values

from .data_sets import ROLES


def predictions_of(folder: Path, model: Path | None, about: dict[str, Any]) -> Predictions:
    """Return the predictions in ``model`` for the rows of ``roles.parquet``; None: no predictions yet."""
    import pyarrow.parquet as pq

    roles = pq.read_table(folder / ROLES)
    ids = of_texts(roles["id"].to_pylist())
    answers: list[Any] = []
    scores: dict[str, list[Any]] = {}
    latency: list[float] = []
    at = 0
    while model is not None and (part := model / f"batch-{at}.json").exists():
        batch = json.loads(part.read_bytes())
        rows = len(batch["predictions"])
        answers += batch["predictions"]
        latency += [batch["seconds"] / max(1, rows)] * rows
        for name in scores.keys() | batch["scores"].keys():
            before = scores.setdefault(name, [None] * (len(answers) - rows))
            before += batch["scores"].get(name, [None] * rows)
        at += 1
    if model is None:
        answers = [None] * len(ids)
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
