"""What a model gets of the rows, and what becomes of its answers, with real models of MLflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.evaluations.runner import Predictor, Refused, shaped


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Predictor]:
    """Save a function of the inputs as a model, with an example of the inputs for its signature, and load it."""
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    def save(function: Callable[[Any], Any], example: Any = None) -> Predictor:
        class Model(mlflow.pyfunc.PythonModel):
            def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
                return function(model_input)

        path = str(tmp_path / "model")
        signature = None if example is None else infer_signature(example)
        mlflow.pyfunc.save_model(path, python_model=Model(), signature=signature, pip_requirements=["mlflow"])
        return Predictor(path, ["key", "region"])

    return save


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame({"key": ["a", "b"], "x": [1, 2], "z": [0.5, 0.25], "region": ["n", "s"]})


def test_the_signature_chooses_columns_and_widens_whole_numbers(saved: Callable[..., Predictor]) -> None:
    import pandas as pd

    predictor = saved(lambda frame: frame["x"] * 2 + frame.shape[1], pd.DataFrame({"x": [0.5]}))
    assert predictor.answer(_frame())["predictions"] == [3.0, 5.0]


def test_a_group_may_be_a_feature_too(saved: Callable[..., Predictor]) -> None:
    import pandas as pd

    predictor = saved(lambda frame: frame["region"].str.upper(), pd.DataFrame({"region": ["n"]}))
    assert predictor.answer(_frame())["predictions"] == ["N", "S"]


def test_without_a_signature_a_model_gets_all_but_ids_and_groups(saved: Callable[..., Predictor]) -> None:
    predictor = saved(lambda frame: [",".join(frame.columns)] * len(frame))
    assert predictor.answer(_frame())["predictions"] == ["x,z", "x,z"]


def test_missing_columns_are_named(saved: Callable[..., Predictor]) -> None:
    import pandas as pd

    predictor = saved(lambda frame: frame["w"], pd.DataFrame({"w": [0.5], "v": [1.5]}))
    with pytest.raises(Refused, match="no column 'w', 'v', which the model needs"):
        predictor.answer(_frame())


def test_tensors_get_their_shape(saved: Callable[..., Predictor]) -> None:
    import numpy as np

    predictor = saved(
        lambda values: values.reshape(len(values), -1).sum(axis=1), np.zeros((1, 2, 1), np.float32)
    )
    assert predictor.answer(_frame())["predictions"] == [1.5, 2.25]
    wrong = saved_again(predictor, np.zeros((1, 5), np.float32))
    with pytest.raises(Refused, match="needs 5 values in a row; the data has 2"):
        wrong.answer(_frame())


def saved_again(predictor: Predictor, example: Any) -> Predictor:
    """Return the predictor with the signature of another example."""
    from mlflow.models import infer_signature

    predictor._inputs = infer_signature(example).inputs
    return predictor


@pytest.mark.parametrize(
    ("answer", "expected", "scores"),
    [
        ([[0.9, 0.1], [0.2, 0.8]], [0, 1], {"0": [0.9, 0.2], "1": [0.1, 0.8]}),
        ([[3.0, 1.0], [-2.0, 8.0]], [0, 1], {}),  # no probabilities
        ([[1.5], [2.5]], [1.5, 2.5], {}),
        ([float("nan"), 2.0], [None, 2.0], {}),
        ([{"label": "cat", "score": 0.9}, {"label": "dog", "score": 0.8}], ["cat", "dog"], {}),
        ({"predictions": ["a", None]}, ["a", None], {}),
    ],
)
def test_answers_of_each_shape(answer: Any, expected: list[Any], scores: dict[str, Any]) -> None:
    assert shaped(answer, 2) == (expected, scores)


def test_answers_that_cannot_be_judged() -> None:
    import numpy as np

    with pytest.raises(Refused, match="The model answered 3 predictions for 2 rows"):
        shaped([1, 2, 3], 2)
    with pytest.raises(Refused, match=r"arrays of the shape \(2, 3, 4\)"):
        shaped(np.zeros((2, 3, 4)), 2)
