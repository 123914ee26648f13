"""Train a classifier of handwritten digits, and register it: python train.py --rows 900"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd  # type: ignore[import-untyped]
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

MODEL = "handwritten-digits"
#: The rows from here on judge versions, and train none.
FIRST_HELD_OUT = 1_000


def tables() -> tuple[Any, Any]:
    """Return the rows to train with, and those that are held out with their ids and groups."""
    frame = pd.DataFrame(load_digits().data / 16, columns=[f"p{at}" for at in range(64)])
    frame["label"] = load_digits().target
    held_out = frame[FIRST_HELD_OUT:].copy()
    pixels = held_out[[f"p{at}" for at in range(64)]].mean(axis=1)
    held_out.insert(0, "id", [f"digit-{at}" for at in held_out.index])
    held_out["ink"] = ["much" if each > pixels.median() else "little" for each in pixels]
    return frame[:FIRST_HELD_OUT], held_out


def train(rows: int, folder: Path) -> tuple[str, str]:
    """Train with the first rows, and return the run and the version. Write holdout.parquet into ``folder``."""
    known, held_out = tables()
    held_out.to_parquet(folder / "holdout.parquet", index=False)
    used = known[:rows]
    file = folder / f"train-{rows}.parquet"
    used.to_parquet(file, index=False)
    inputs = used.drop(columns="label")
    with mlflow.start_run(run_name=f"{rows} rows") as run:
        mlflow.log_param("rows", rows)
        mlflow.log_input(mlflow.data.from_pandas(used, source=str(file), name=file.name), context="training")
        model = LogisticRegression(max_iter=1_000).fit(inputs, used["label"])
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=mlflow.models.infer_signature(inputs, model.predict(inputs)),
            pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"pandas=={pd.__version__}"],
        )
    version = mlflow.register_model(logged.model_uri, MODEL)
    return run.info.run_id, str(version.version)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=900, help="how many rows to train with, at most 1,000")
    run_id, number = train(parser.parse_args().rows, Path.cwd())
    print(f"{MODEL} version {number} (run {run_id})")  # noqa: T201
