"""Predict rows in batches with one model: the process of an evaluation.

Any interpreter with the model's requirements runs this as a plain file (``python runner.py spec.json``). It imports the
standard library, mlflow, and what mlflow brings (numpy, pandas, pyarrow). The Lab writes ``{"batch": 3}`` lines to its
standard input; the answers are lines of its standard output, and the predictions are in ``batch-3.json`` in the folder
``out``. The process ends with its input, so it ends with the Lab. With ``pack`` in the specification it loads no model:
it writes the batches into ``answers.parquet``.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

Frame = Any


class Refused(Exception):
    """Predictions that cannot be evaluated, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Predictor:
    """One loaded model, which gets the columns that its signature names."""

    def __init__(self, folder: str, left_out: list[str]) -> None:
        import mlflow.pyfunc

        self._model: Any = mlflow.pyfunc.load_model(folder)
        self._left_out = left_out
        signature = self._model.metadata.signature
        self._inputs: Any = signature.inputs if signature is not None else None
        self._probabilities = self._scorer()

    def _scorer(self) -> Any:
        try:
            raw = self._model.get_raw_model()
        except Exception:  # a flavor without a raw model: then there are no scores
            return None
        return raw if hasattr(raw, "predict_proba") and hasattr(raw, "classes_") else None

    def inputs(self, frame: Frame) -> Any:
        """Return what the model gets: the columns of its signature, with its types. Raises Refused."""
        if self._inputs is None:
            return self._features(frame)
        if self._inputs.is_tensor_spec():
            return self._tensors(frame)
        wanted = [each.name for each in self._inputs.inputs if each.name is not None]
        required = [
            each.name for each in self._inputs.inputs if each.name and getattr(each, "required", True)
        ]
        missing = [name for name in required if name not in frame.columns]
        if missing:
            raise Refused(
                f"The data has no column {', '.join(map(repr, missing[:10]))}, which the model needs.",
                f"Its columns are: {', '.join(map(str, frame.columns[:30]))}.",
            )
        chosen = (
            frame[[name for name in wanted if name in frame.columns]] if wanted else self._features(frame)
        )
        return self._typed(chosen)

    def _features(self, frame: Frame) -> Frame:
        return frame.drop(columns=[name for name in self._left_out if name in frame.columns])

    def _typed(self, frame: Frame) -> Frame:
        """Widen whole numbers where the signature has fractions: MLflow refuses them."""
        kinds = {"double": "float64", "float": "float32", "long": "int64"}
        found = {}
        for each in self._inputs.inputs:
            kind = kinds.get(getattr(each.type, "name", ""))
            if kind and each.name in frame.columns and frame[each.name].dtype.kind in "iuf":
                narrows = kind == "int64" and frame[each.name].dtype.kind == "f"
                if not narrows and str(frame[each.name].dtype) != kind:
                    found[each.name] = kind
        return frame.astype(found) if found else frame

    def _tensors(self, frame: Frame) -> Any:
        import numpy as np

        specs = self._inputs.inputs
        if specs[0].name is not None:
            missing = [each.name for each in specs if each.name not in frame.columns]
            if missing:
                raise Refused(
                    f"The data has no column {', '.join(map(repr, missing[:10]))}, which the model needs.",
                    "Log the model with an input_example that has the columns of the data.",
                )
            return {
                each.name: np.stack(frame[each.name].map(np.asarray).to_list()).astype(each.type)
                for each in specs
            }
        features = self._features(frame)
        first = features.iloc[:, 0] if features.shape[1] == 1 else None
        if first is not None and first.dtype == object:  # a list in each row
            values = np.stack(first.map(np.asarray).to_list())
        else:
            values = features.to_numpy()
        shape = [int(size) for size in specs[0].shape[1:]]
        if -1 not in shape and values.shape[1:] != tuple(shape):
            expected = math.prod(shape)
            if values[0].size != expected:
                raise Refused(
                    f"The model needs {expected} values in a row; the data has {values[0].size} besides its ids, "
                    "labels and groups.",
                    "Name the columns that are no features with --id, --label and --group.",
                )
            values = values.reshape((len(values), *shape))
        return values.astype(specs[0].type)

    def answer(self, frame: Frame) -> dict[str, Any]:
        """Return the predictions of rows, their scores by class, and the seconds of the call. Raises Refused."""
        given = self.inputs(frame)
        began = time.perf_counter()
        try:
            found = self._model.predict(given)
        except Exception as error:
            if self._inputs is not None:
                raise
            traceback.print_exc()
            raise Refused(
                first_line(error),
                "The model has no signature, so it got all columns but ids, labels and groups: "
                f"{', '.join(given.columns[:12])}. Name other columns with --group, or log the model with an "
                "input_example.",
            ) from error
        seconds = time.perf_counter() - began
        predictions, scores = shaped(found, len(frame))
        if self._probabilities is not None and not scores:
            scores = self._scores(given, len(frame))
        return {"seconds": seconds, "predictions": predictions, "scores": scores}

    def _scores(self, given: Any, rows: int) -> dict[str, list[Any]]:
        try:
            found = self._probabilities.predict_proba(given)
        except Exception:  # such as a classifier that was trained without probabilities
            traceback.print_exc()
            self._probabilities = None
            return {}
        if getattr(found, "shape", None) != (rows, len(self._probabilities.classes_)):
            return {}
        return {named(name): plain(found[:, at]) for at, name in enumerate(self._probabilities.classes_)}


def shaped(found: Any, rows: int) -> tuple[list[Any], dict[str, list[Any]]]:
    """Return one prediction a row, and scores by class if the model gave rows of them. Raises Refused."""
    import numpy as np

    if hasattr(found, "columns"):
        found = _column(found)
    elif isinstance(found, dict):
        found = found.get("predictions", found.get("prediction", next(iter(found.values()), [])))
    array = np.asarray(found) if not isinstance(found, list) else _listed(found)
    if array.ndim == 0 or len(array) != rows:
        count = 1 if array.ndim == 0 else len(array)
        raise Refused(
            f"The model answered {count:,} predictions for {rows:,} rows.",
            "The model must answer one prediction a row.",
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 1:
        return plain(array), {}
    if array.ndim != 2 or array.dtype.kind != "f":
        raise Refused(
            f"The model answers arrays of the shape {array.shape}; an evaluation needs one value a row.",
            "Compute the predictions yourself and keep them with genops.log_predictions.",
        )
    whole = bool((array >= 0).all()) and bool(np.allclose(array.sum(axis=1), 1.0, atol=1e-3))
    scores = {str(at): plain(array[:, at]) for at in range(array.shape[1])} if whole else {}
    return plain(array.argmax(axis=1)), scores


def _column(frame: Frame) -> Any:
    for name in ("prediction", "predictions", "label", "predicted_label"):
        if name in frame.columns:
            return frame[name]
    if frame.shape[1] == 1:
        return frame.iloc[:, 0]
    return frame.to_numpy()


def _listed(found: list[Any]) -> Any:
    import numpy as np

    if found and isinstance(found[0], dict) and "label" in found[0]:  # transformers' pipelines
        found = [each.get("label") for each in found]
    if any(isinstance(each, (str, bool)) or each is None for each in found):
        array = np.empty(len(found), object)
        array[:] = found
        return array
    return np.asarray(found)


def plain(values: Any) -> list[Any]:
    """Return values for JSON; NaN becomes None."""
    return [None if each is None or each != each else each for each in values.tolist()]


def first_line(error: BaseException) -> str:
    """Return the kind and the first line of an error."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]


def named(value: Any) -> str:
    """Return the name of a class, as ``genops_lab.evaluations.predictions.class_name`` does."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


ANSWERS = "answers.parquet"


def merged(out: Path) -> tuple[list[Any], dict[str, list[Any]], list[float]]:
    """Return the predictions of all batches in a folder, their scores by class, and the seconds of each row."""
    answers: list[Any] = []
    scores: dict[str, list[Any]] = {}
    latency: list[float] = []
    at = 0
    while (part := out / f"batch-{at}.json").exists():
        batch = json.loads(part.read_bytes())
        rows = len(batch["predictions"])
        answers += batch["predictions"]
        latency += [batch["seconds"] / max(1, rows)] * rows
        for name in scores.keys() | batch["scores"].keys():
            before = scores.setdefault(name, [None] * (len(answers) - rows))
            before += batch["scores"].get(name, [None] * rows)
        at += 1
    return answers, scores, latency


def pack(out: Path) -> None:
    """Write the batches into :data:`ANSWERS`: the columns prediction, score.<class> and latency_s."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    answers, scores, latency = merged(out)
    kinds = {type(each) for each in answers if each is not None}
    if kinds <= {int, float}:
        answers = [None if each is None else float(each) for each in answers]
    elif len(kinds) > 1:
        answers = [None if each is None else named(each) for each in answers]
    columns = {
        "prediction": pa.array(answers),
        **{f"score.{name}": pa.array(each, pa.float64()) for name, each in sorted(scores.items())},
        "latency_s": pa.array(latency, pa.float64()),
    }
    pq.write_table(pa.table(columns), out / f".{ANSWERS}", compression="zstd")
    (out / f".{ANSWERS}").replace(out / ANSWERS)


def main(spec_path: str) -> int:
    """Predict the batches that the Lab asks for. Return 0 at the end of the input, 1 after an error."""
    # What a model prints goes to the log; only the answers go to the Lab.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
        if spec.get("pack"):
            pack(Path(spec["out"]))
            say({"packed": True})
            return 0
        import pyarrow.parquet as pq

        predictor = Predictor(spec["model"], spec["left_out"])
        frame = pq.read_table(spec["rows"]).to_pandas()
        size, out = int(spec["batch_rows"]), Path(spec["out"])
        predictor.answer(frame.iloc[:size])  # the first call is slower: it is not measured
        say({"ready": True})
        for line in sys.stdin:
            at = int(json.loads(line)["batch"])
            answer = predictor.answer(frame.iloc[at * size : (at + 1) * size])
            part = out / f".batch-{at}.json"
            part.write_text(json.dumps(answer), encoding="utf-8")
            part.replace(out / f"batch-{at}.json")
            say({"batch": at})
    except Refused as refused:
        say({"error": str(refused), "hint": refused.hint})
        return 1
    except BaseException as error:  # report all that a model's code raises, also SystemExit
        traceback.print_exc()
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        say(
            {"error": first_line(error), "hint": "Free some disk space, then evaluate again." if full else ""}
        )
        return 1
    return 0


if __name__ == "__main__":
    # Import nothing from the folder of this file: a model may have modules of the same names.
    if sys.path and Path(sys.path[0] or ".").resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    sys.exit(main(sys.argv[1]))
