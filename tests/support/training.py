"""Logs a scikit-learn classifier of digits, in a fork of the process that has imported what that takes."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Log it as the JSON of the first argument says, and print what the notebook knows of it."""
    given = json.loads(sys.argv[1])
    import mlflow
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    inputs, labels = load_digits(return_X_y=True)
    inputs = inputs[:, : given["pixels"]]
    model = LogisticRegression(max_iter=200).fit(inputs[: given["rows"]] / 16, labels[: given["rows"]])
    mlflow.set_tracking_uri(given["uri"])
    with mlflow.start_run(experiment_id=given["experiment"]) as run:
        for name in given["names"]:
            info = mlflow.sklearn.log_model(model, name=name, **given["options"])
    some = inputs[300:304] / 16
    predictions = model.predict(some).tolist()
    assert len(set(predictions)) > 1, "a model that says the same of all proves nothing"
    content = {
        "run": run.info.run_id,
        "model": info.model_id,
        "inputs": some.tolist(),
        "predictions": predictions,
    }
    print(json.dumps(content))
