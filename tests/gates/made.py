"""Predictions with planned differences."""

from __future__ import annotations

from typing import Any

import numpy as np

from genops_lab.evaluations.predictions import Predictions

#: Of the docs: 0.8 points better in all, worse in group B.
DEMO_RULES = """\
kind: Gates
data: holdout
rules:
  - {rule: better, metric: accuracy, alpha: 0.025}
  - {rule: worse-for-nobody, metric: accuracy, group: group, margin: 0.02}
"""
DEMO_SENTENCE = (
    "Fail: accuracy is 0.8 points higher, within chance; 1,900 more examples would show it; "
    "worse for group B by 3 to 7 points."
)


def texts(values: Any) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = [str(each) for each in values]
    return found


def answers(right: np.ndarray, **more: Any) -> Predictions:
    """Predictions of labels 0 and 1 that are right where ``right`` says so."""
    n = len(right)
    labels = (np.arange(n) % 2).astype(np.float64)
    return Predictions(
        ids=texts(range(n)), labels=labels, predictions=np.where(right, labels, 1 - labels), **more
    )


def pair(*parts: tuple[str, int, int, int]) -> tuple[Predictions, Predictions]:
    """Candidate and champion. A part: its group, rows, rows that only the candidate, only the champion has right."""
    one, other, groups = [], [], []
    for name, n, only_one, only_other in parts:
        rest = n - only_one - only_other
        wrong = rest // 10
        one += [True] * only_one + [False] * only_other + [False] * wrong + [True] * (rest - wrong)
        other += [False] * only_one + [True] * only_other + [False] * wrong + [True] * (rest - wrong)
        groups += [name] * n
    labels = {"group": texts(groups)}
    return answers(np.array(one), groups=labels), answers(np.array(other), groups=labels)


def demo() -> tuple[Predictions, Predictions]:
    return pair(("A", 1400, 36, 2), ("B", 400, 1, 20))


class Made:
    """Models in a real MLflow, with versions that have evaluations as ``genops models evaluate`` keeps them."""

    def __init__(self, uri: str, artifacts: str | None) -> None:
        import mlflow

        self.client = mlflow.MlflowClient(uri)
        found = self.client.get_experiment_by_name("gates")
        self.experiment = (
            found.experiment_id
            if found
            else self.client.create_experiment("gates", artifact_location=artifacts)
        )

    def model(self, name: str) -> str:
        self.client.create_registered_model(name)
        return name

    def run(self, **tags: str) -> Any:
        return self.client.create_run(self.experiment, tags={"mlflow.user": "ada", **tags})

    def version(self, name: str, source: str = "", **tags: str) -> str:
        """A version whose run has the tags."""
        run = self.run(**{key.replace("__", "."): value for key, value in tags.items()})
        uri = source or f"{run.info.artifact_uri}/model"
        return str(self.client.create_model_version(name, uri, run.info.run_id).version)

    def evaluate(
        self, name: str, version: str, found: Predictions, data: str = "holdout", digest: str = "d1",
        session: str = "s1", metrics: dict[str, list[float]] | None = None, about: str = "",
    ) -> str:  # fmt: skip
        """Keep an evaluation; returns its run."""
        import tempfile
        from dataclasses import replace
        from pathlib import Path

        from genops_lab.evaluations import tags
        from genops_lab.evaluations.predictions import FILE, write

        run = self.run(
            **{
                tags.MODEL: name, tags.VERSION: version, tags.DATA: data, tags.DIGEST: digest, tags.SESSION: session,
            }
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FILE
            write(path, replace(found, about={"digest": about or digest}))
            self.client.log_artifact(run.info.run_id, str(path))
        for metric, values in (metrics or {}).items():
            for step, value in enumerate(values):
                self.client.log_metric(run.info.run_id, metric, value, step=step)
        self.client.set_model_version_tag(name, version, tags.version_tag(data, digest), run.info.run_id)
        return str(run.info.run_id)

    def tags(self, name: str, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(name, version).tags)

    def champion(self, name: str) -> str:
        return str(self.client.get_registered_model(name).aliases.get("champion", ""))

    def compared(self, name: str, one: Predictions, other: Predictions, **tags: str) -> str:
        """A model whose version 1 is the champion, and whose version 2 is the candidate; returns its name."""
        self.model(name)
        self.version(name)
        self.version(name, **tags)
        self.client.set_registered_model_alias(name, "champion", "1")
        self.evaluate(name, "1", other)
        self.evaluate(name, "2", one)
        return name
