"""From training to lineage with the longest names, on each place in which MLflow keeps its registry."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from genops_lab.cards.models import KeepCard
from genops_lab.cards.service import CardsService
from genops_lab.core.settings import Settings
from genops_lab.gates.models import CheckGates, PromoteVersion
from genops_lab.gates.service import GatesService
from genops_lab.lineage.models import LineageQuery
from genops_lab.lineage.service import LineageService
from genops_lab.registry.models import MovesQuery, RegisterModel
from tests.support.homes import temporary_home
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres
from tests.support.rooms import Rooms, Training, open_rooms
from tests.support.warm import warm_workers

from .conftest import evaluated, held_out

pytestmark = pytest.mark.timeout(600)  # it starts what other tests of the folder have already

#: 250 characters of two, three and four bytes, with a quote.
MODEL = "数𝛼é'" * 62 + "ab"
DATA = "Prüfdaten 数𝛼 " * 18 + "äöü!" * 4
GATES = f"""\
kind: Gates
data: {json.dumps(DATA, ensure_ascii=False)}
rules:
  - {{rule: better, metric: accuracy}}
  - {{rule: worse-for-nobody, metric: accuracy, group: région, margin: 0.1}}
"""


@pytest.fixture(
    params=[
        "http",
        pytest.param("sqlite", marks=pytest.mark.exhaustive),
        pytest.param("postgresql", marks=pytest.mark.exhaustive),
    ]
)
def far(request: pytest.FixtureRequest) -> Iterator[Rooms]:
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(temporary_home())
        place_server_store(home.path / "far.db")
        uri = f"sqlite:///{home.path}/far.db"
        if request.param == "postgresql":
            if missing():
                pytest.skip(missing())
            uri = stack.enter_context(running_postgres())
        if request.param == "http":
            uri = stack.enter_context(running_mlflow(home, uri, home.path / "far"))
        stack.enter_context(warm_workers())
        yield stack.enter_context(open_rooms(Settings(data_dir=home.data, mlflow_uri=uri)))


def test_a_version_goes_the_whole_way(far: Rooms, tmp_path: Path) -> None:
    assert (len(MODEL), len(DATA)) == (250, 250)
    training = Training(far)
    for rows, alias in ((100, "champion"), (700, "")):
        logged = training.digits(rows=rows)
        far.trust(logged.folder, logged.run_id)
        far.run(far.registry.register_model(RegisterModel(name=MODEL, run=logged.run_id, alias=alias)))
    frame = held_out().rename(columns={"key": "schlüssel", "region": "région"})
    frame.to_parquet(tmp_path / "holdout.parquet", index=False)
    task, found = evaluated(
        far, model=MODEL, data=str(tmp_path / "holdout.parquet"), name=DATA, id="schlüssel", label="y",
        groups=["région"],
    )  # fmt: skip
    assert task.state == "done", (task.message, task.hint)
    assert [(each.model, each.version, each.data) for each in found] == [
        (MODEL, "2", DATA),
        (MODEL, "1", DATA),
    ]

    gates = GatesService(far.mlflow, far.registry, far.events)
    report = far.run(gates.check_gates(MODEL, "2", CheckGates(text=GATES)))
    assert report.verdict == "pass", report.headline
    assert report.headline == "Pass: all 2 rules hold against version 1."
    done = far.run(gates.promote_version(MODEL, "2", PromoteVersion(text=GATES)))
    assert done.moved and done.report is not None and done.report.data[0].look == 1
    [move, *_] = far.run(far.registry.list_moves(MODEL, MovesQuery())).items
    assert (move.from_version, move.to_version, move.evidence["gates"]["verdict"]) == ("1", "2", "pass")
    assert far.run(far.registry.resolve(MODEL, "champion")).version == "2"

    cards = CardsService(far.mlflow, far.registry, far.events)
    kept = far.run(cards.keep_card(MODEL, "champion", KeepCard()))
    card = far.run(cards.get_card(MODEL, "2"))
    assert card.kept and card.digest == kept.digest
    assert "Prüfdaten 数𝛼" in card.text and "région=north" in card.text
    bom = far.run(cards.get_bill_of_materials(MODEL, "2")).document
    assert bom["metadata"]["component"]["name"] == MODEL

    lineage = LineageService(far.mlflow, far.experiments, far.deployments, far.shared)
    stands = far.run(lineage.get_lineage(LineageQuery(of=f"data:{DATA}", direction="down")))
    assert f"model:{MODEL}@2" in {each.id for each in stands.nodes}
    made_from = far.run(lineage.get_lineage(LineageQuery(of=f"model:{MODEL}@champion", direction="up")))
    run = far.run(far.registry.resolve(MODEL, "2")).run_id
    assert {f"run:{run}", f"run:{found[0].run_id}"} <= {each.id for each in made_from.nodes}
