"""The rule ``drift`` over a real MLflow: training data by its source, with the digest checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genops_lab.core.settings import Settings
from genops_lab.gates.models import CheckGates, RuleVerdict
from genops_lab.gates.plan_file import GateFileError, read_gates
from genops_lab.gates.service import GatesService
from tests.support.homes import Home
from tests.support.mlflow_file import place_store
from tests.support.rooms import Rooms, open_rooms
from tests.support.warm import warm_workers

from .made import Made, pair

ROWS = 4_000


@pytest.fixture(scope="module")
def rooms(module_home: Home) -> Iterator[Rooms]:
    place_store(module_home.data)
    with warm_workers(), open_rooms(Settings(data_dir=module_home.data)) as found:
        found.run(found.mlflow.ensure())
        yield found


class Trained:
    """Models whose runs logged training data, as ``genops.dataset(FILE)`` logs them."""

    def __init__(self, rooms: Rooms, folder: Path) -> None:
        self.rooms, self.folder = rooms, folder
        self.made = Made(
            rooms.mlflow.uri, (rooms.settings.data_dir / "mlflow" / "artifacts" / "drift").as_uri()
        )
        self.gates = GatesService(rooms.mlflow, rooms.registry, rooms.events)

    def file(self, name: str, seed: int, *, shift: float = 0.0, rows: int = ROWS, **more: Any) -> Path:
        """Rows of a price, a region and an id; ``shift`` moves the price by that distance."""
        import pandas as pd

        rng = np.random.default_rng(seed)
        columns = {
            "id": [f"{seed}-{at}" for at in range(rows)],
            "price": rng.random(rows) + shift,
            "region": rng.choice(["north", "south", None], rows, p=[0.6, 0.3, 0.1]),
            **more,
        }
        path = self.folder / f"{name}.parquet"
        pd.DataFrame(columns).to_parquet(path, index=False)
        return path

    def log(self, name: str, version: str, file: Path, context: str = "training") -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        from genops_lab.runtime.datasets import fingerprint

        event = fingerprint(str(file)).event(context)
        run = self.made.client.get_model_version(name, version).run_id
        dataset = Dataset(event["name"], fingerprint(str(file)).digest, event["source_type"], event["source"])
        tags = [InputTag("mlflow.data.context", context)] if context else []
        self.made.client.log_inputs(run, [DatasetInput(dataset, tags)])

    def model(self, name: str, champion: Path | None, candidate: Path | None) -> str:
        self.made.compared(name, *pair(("A", 200, 20, 5)))
        for version, file in (("1", champion), ("2", candidate)):
            if file is not None:
                self.log(name, version, file)
        return name

    def check(self, name: str, rule: str = "at_most: 0.1") -> RuleVerdict:
        text = f"kind: Gates\nrules:\n  - {{rule: drift, {rule}}}\n"
        return self.rooms.run(self.gates.check_gates(name, "2", CheckGates(text=text))).rules[0]


@pytest.fixture(scope="module")
def trained(rooms: Rooms, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(rooms, tmp_path_factory.mktemp("data"))


def test_data_that_moved_fails_and_the_columns_are_named(trained: Trained) -> None:
    before, after = trained.file("before", 1), trained.file("after", 2, shift=0.25)
    found = trained.check(trained.model("moved", before, after))
    assert found.verdict == "fail"
    assert found.clause.startswith("price moved by 0.2") and "over 0.1" in found.clause
    assert found.clause.endswith("(from the other version's data)") and "region" not in found.clause
    assert [each.name for each in found.slices] == ["price", "region"]
    assert [each.verdict for each in found.slices] == ["fail", "pass"]
    assert found.estimate == pytest.approx(0.25, abs=0.04) and (found.low or 0) < 0.25 < (found.high or 0)
    assert "Not compared, over 200 different texts: id." in found.detail


def test_data_that_stayed_passes_and_few_rows_are_not_enough(trained: Trained) -> None:
    champion = trained.file("then", 3)
    found = trained.check(trained.model("stayed", champion, trained.file("now", 4)))
    assert found.verdict == "pass"
    assert found.clause.startswith("none of 2 columns moved by more than 0.0")
    few = trained.check(trained.model("few", champion, trained.file("few", 5, rows=300)))
    assert few.verdict == "not_enough_data" and few.more
    assert "may have moved by up to" in few.clause and "more examples would tell" in few.clause
    same = trained.check(trained.model("same", champion, champion))
    assert same.verdict == "pass" and "is that of the other version, then.parquet@" in same.clause


def test_evaluation_data_may_be_what_is_compared_with(trained: Trained) -> None:
    name = trained.model("served", None, trained.file("train", 6))
    live = trained.file("live", 7, shift=0.3)
    trained.log(name, "1", live, context="evaluation")
    rule = "against: data, data: live.parquet, at_most: 0.1"
    found = trained.check(name, rule)
    assert found.verdict == "fail" and found.clause.endswith("(from the evaluation data live.parquet)")
    assert trained.check(name, f"{rule}, columns: [region]").verdict == "pass"
    with pytest.raises(GateFileError, match="needs evaluation data"):
        read_gates("kind: Gates\nrules:\n  - {rule: drift, at_most: 0.1, against: data}\n", "gates.yaml")


def test_what_cannot_be_checked_says_why(trained: Trained) -> None:
    def says(name: str, rule: str = "at_most: 0.1") -> str:
        found = trained.check(name, rule)
        assert found.verdict == "cannot_be_checked", found.clause
        return f"{found.clause} {found.detail}"

    champion, candidate = trained.file("one", 8), trained.file("other", 9)
    assert "the version's run recorded no training data" in says(trained.model("none", champion, None))
    assert "mlflow.log_input" in says("none")
    name = trained.model("several", champion, candidate)
    trained.log(name, "2", trained.file("third", 10))
    assert "the version's run has 2 sets of training data" in says(name)
    wider = trained.file("wider", 11, tax=np.zeros(ROWS))
    name = trained.model("wider", champion, wider)
    assert "tax is in one of the two data sets only" in says(name) and "columns: [...]" in says(name)
    assert trained.check(name, "at_most: 0.1, columns: [price]").verdict == "pass"
    typo = says(name, "at_most: 0.1, columns: [prices]")
    assert "the training data has no column 'prices' Did you mean price?" in typo
    assert "the column id has over 200 different texts" in says(name, "at_most: 0.1, columns: [id]")
    texts = trained.file("texts", 12, price=["1"] * ROWS)
    assert "the column price has numbers in one data set and texts in the other" in says(
        trained.model("texts", champion, texts)
    )
    changed = trained.file("changed", 13)
    name = trained.model("changed", champion, changed)
    trained.file("changed", 14)
    assert "the data set 'changed.parquet' has changed" in says(name)
    changed.unlink()
    assert "the file of changed.parquet@" in says(name) and "is gone" in says(name)
