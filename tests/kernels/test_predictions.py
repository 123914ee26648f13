"""``genops.log_predictions`` in a kernel on a target: kept once, also if the Lab is away or the kernel ends."""

from __future__ import annotations

import sys
from pathlib import Path

from genops_lab.evaluations.models import Evaluation, EvaluationsQuery
from genops_lab.evaluations.predictions import FILE, read
from genops_lab.hosts.providers import route_of
from tests.experiments.conftest import made_folder  # noqa: F401 - a fixture
from tests.support.homes import Home

from .places import TARGET, Running
from .tracked import LONG_S, TrackingLab, eventually, loaded, ok, tracking_lab

#: Some MB of values.
ROWS = 40_000
CELL = """
import genops, os, random, time
open("{data}.begun", "w").close()
while not os.path.exists("{data}.go"):
    time.sleep(0.02)
random.seed({seed})
rows = {rows}
open("{data}", "w").write("rows of this host")
first = [random.random() for _ in range(rows)]
found = genops.log_predictions(
    model="far", data="{data}", labels=[at % 2 for at in range(rows)], predictions=[int(one > 0.5) for one in first],
    scores={{"0": [1 - one for one in first], "1": first}}, latency_s=0.001, against="",
)
print(found["sent"] if "sent" in found.keys() else found["evaluation"]["run_id"], sum(first))
"""


def evaluations(lab: TrackingLab) -> list[Evaluation]:
    return lab.run(lab.evaluations.list_evaluations(EvaluationsQuery(model="far"))).items


def test_predictions_arrive_once_also_if_the_lab_is_away(
    home: Home,
    made_folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    from mlflow import MlflowClient

    route = route_of(target=TARGET, kind="local", python=sys.executable)
    with tracking_lab(home, made_folder, route) as lab:
        lab.run(lab.room.mlflow.ensure())
        client = MlflowClient(lab.room.mlflow.uri)
        client.create_registered_model("far")
        client.create_model_version("far", tmp_path.as_uri())
        link = lab.place.remote.links.link(lab.place.route)
        spools = home.path / ".local/state/genops-lab/lab"

        def left() -> list[Path]:
            return list(spools.glob("*/spool/*.predictions"))

        def cell(number: int, rows: int = ROWS, more: str = "") -> str:
            return CELL.format(seed=number, rows=rows, data=tmp_path / f"{number}.csv") + more

        def run_while_away(kernel: Running, number: int, more: str = "") -> str:
            """Log predictions while the Lab is away, and let it come back once they are on the disk."""
            begun = kernel.client.execute(cell(number, more=more))
            eventually((tmp_path / f"{number}.csv.begun").exists)
            lab.place.do(link.down())
            (tmp_path / f"{number}.csv.go").touch()
            eventually(left)
            lab.place.do(link.up())
            return begun

        with loaded(lab.place) as kernel:
            (tmp_path / "1.csv.go").touch()
            run_id, total = ok(kernel, cell(1)).split()
            (kept,) = evaluations(lab)
            assert (kept.run_id, kept.how, kept.place) == (run_id, "logged", TARGET)
            found = read(client.download_artifacts(run_id, FILE, str(tmp_path)))
            assert len(found) == ROWS
            assert sum(found.scores["1"].tolist()) == float(total), "each value as it was"

            _reply, printed = kernel.finish(run_while_away(kernel, 2), LONG_S)
            assert printed.split()[0] == "False", printed
            eventually(lambda: len(evaluations(lab)) == 2 and not left())

            run_while_away(kernel, 3, "os._exit(1)")
            eventually(lambda: len(evaluations(lab)) == 3 and not left())
