"""Register an aligned judge in MLflow, so that MLflow's page of judges and its evaluations have it."""

from __future__ import annotations

import json
from typing import Any, Literal

from genops_lab.experiments.backends.client import MlflowBackend, experiment_named, mlflow_errors
from genops_lab.genai.scorers.judges import Rubric

#: MLflow's own variables of a judge's instructions.
_TEXTS = "Question: {{ inputs }}\nAnswer: {{ outputs }}"
_EXPECTED = "\nExpected: {{ expectations }}"


class MlflowJudges(MlflowBackend):
    """Registers judges in MLflow's worker."""

    def register(self, judge: Rubric, model: str, experiment: str, said: str) -> int:
        """Register a judge as a scorer of an experiment, and return its version. ``model``: as MLflow names models.

        Its values are the scale's marks, which people's labels have too, so MLflow sees the agreement.
        """
        from mlflow.genai.judges import make_judge

        marks = tuple(each[:64] for each in judge.scale)
        scale = "; ".join(map(_plain, marks))
        text = f"Criterion: {_plain(judge.criterion)}\nMarks, the worst first: {scale}.\n{_TEXTS}"
        kind: Any = Literal[marks]
        with mlflow_errors(f"Cannot register the judge {judge.label}"):
            made = make_judge(
                name=judge.label, instructions=text + (_EXPECTED if judge.expected else ""), model=model,
                description=said, feedback_value_type=kind,
            )  # fmt: skip
            found, _restored = experiment_named(self._client, experiment)
            store = self._client._tracking_client.store
            return int(
                store.register_scorer(found, judge.label, json.dumps(made.model_dump())).scorer_version
            )


def _plain(text: str) -> str:
    """Return a text in which MLflow finds no variable."""
    return text.replace("{{", "{ {").replace("}}", "} }")
