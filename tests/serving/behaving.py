"""A model from code that does what its column ``do`` says, and counts the rows of each call."""

from __future__ import annotations

import os
import time
from typing import Any

import mlflow
import numpy as np


class Behaving(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    def load_context(self, context: Any) -> None:
        self.kept: list[bytearray] = []
        time.sleep(float(os.environ.get("BEHAVING_LOADS_S", "0")))
        if os.environ.get("BEHAVING_NEEDS"):
            self.kept.append(bytearray(b"x") * int(os.environ["BEHAVING_NEEDS"]))
            time.sleep(60)

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        asked = set(model_input["do"])
        scale = (params or {}).get("scale", 1.0)
        if "hang" in asked:
            time.sleep(600)
        if "wait" in asked:
            time.sleep(0.3)
        if "raise" in asked:
            raise ValueError("this row cannot be scored")
        if "leak" in asked:
            self.kept.append(bytearray(b"x") * 300_000_000)
        if "short" in asked:
            return np.array([1.0])
        if "set" in asked:
            return {"a", "b"}
        if "mean" in asked:
            return np.full(len(model_input), model_input["x"].mean())
        if "count" in asked:
            return np.full(len(model_input), len(model_input))
        return model_input["x"].to_numpy() * scale


mlflow.models.set_model(Behaving())
