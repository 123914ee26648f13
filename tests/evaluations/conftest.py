"""Two trained classifiers of digits as versions of one model, and the rows that neither was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core import work
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.evaluations.models import Evaluation, EvaluationsQuery, NewEvaluation
from genops_lab.registry.models import RegisterModel
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Rooms, Training, open_rooms
from tests.support.warm import warm_workers

#: The first row of digits that the tests evaluate on.
FIRST, ROWS = 800, 400


@pytest.fixture(scope="package")
def package_home() -> Iterator[Home]:
    with temporary_home() as home:
        yield home


@pytest.fixture(scope="package")
def rooms(package_home: Home) -> Iterator[Rooms]:
    place_store(package_home.data)
    with pytest.MonkeyPatch.context() as patch, warm_workers():
        patch.setattr(work, "LOOK_S", 1.0)
        with open_rooms(Settings(data_dir=package_home.data)) as found:
            yield found


@pytest.fixture(scope="package")
def digits(rooms: Rooms) -> str:
    """The model ``digits``: version 1 (champion) from 100 rows, version 2 from 700; their files are trusted."""
    training = Training(rooms)
    for rows in (100, 700):
        logged = training.digits(rows=rows)
        rooms.trust(logged.folder, logged.run_id)
        alias = "champion" if rows == 100 else ""
        rooms.run(rooms.registry.register_model(RegisterModel(name="digits", run=logged.run_id, alias=alias)))
    return "digits"


@pytest.fixture(scope="package")
def holdout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 400 rows with the columns key, y, region and 64 pixels; two labels are missing."""
    frame = held_out()
    path = tmp_path_factory.mktemp("data") / "holdout.parquet"
    frame.to_parquet(path, index=False)
    return path


def held_out() -> Any:
    """Return the rows as a data frame."""
    import pandas as pd
    from sklearn.datasets import load_digits

    inputs, labels = load_digits(return_X_y=True)
    chosen = slice(FIRST, FIRST + ROWS)
    frame = pd.DataFrame(inputs[chosen] / 16, columns=[f"p{at}" for at in range(64)])
    frame.insert(0, "key", [f"row-{at}" for at in range(ROWS)])
    frame["y"] = labels[chosen].astype(float)
    frame.loc[[3, 4], "y"] = None
    frame["region"] = ["north" if at % 3 else "south" for at in range(ROWS)]
    return frame


def evaluated(rooms: Rooms, **fields: Any) -> tuple[Task, list[Evaluation]]:
    """Evaluate, wait for the end, and return the task and its evaluations, the candidate first."""
    begun = rooms.run(rooms.evaluations.evaluate(NewEvaluation(**fields)))
    task = rooms.run(rooms.tasks.wait(begun.task.id))
    found = rooms.run(rooms.evaluations.list_evaluations(EvaluationsQuery(session=begun.task.id))).items
    return task, sorted(found, key=lambda each: each.version != begun.version)
