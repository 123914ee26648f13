"""mlflow's autologging within a run, with scikit-learn: one run, and no model unless it is asked for."""

from __future__ import annotations

import pytest

from tests.support.homes import Home
from tests.support.kernels import LabKernel
from tests.support.lab_server import LabServer

from .test_nested_resume import client, kernel, own, runs, script, server  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow

FIT = """
from sklearn.linear_model import LogisticRegression
LogisticRegression(C=0.5).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
"""


@pytest.mark.parametrize("models", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
def test_a_script(server: LabServer, module_home: Home, models: bool) -> None:  # noqa: F811
    """Finding out what the model needs takes MLflow ten seconds of CPU time."""
    name = f"Script{models}"
    options = ", log_models=True" if models else ""
    script(module_home, f"genops.start('fit', {name!r}, autolog=True{options})\n{FIT}")
    (run,) = runs(module_home, name).values()
    assert run.info.status == "FINISHED" and run.data.params["C"] == "0.5"
    assert own(run)["training_accuracy_score"] == 1.0
    detail = server.get(f"genops/runs/{run.info.run_id}")
    assert [model["name"] for model in detail["models"]] == (["model"] if models else [])


def test_cells_and_what_the_user_had_switched_on(kernel: LabKernel, module_home: Home) -> None:  # noqa: F811
    kernel.ok("import genops")
    kernel.ok("%%track --name on --experiment Cells --autolog" + FIT)
    (run,) = runs(module_home, "Cells").values()
    assert run.data.params["C"] == "0.5" and "training_accuracy_score" in own(run)
    kernel.ok("%%track --name off --experiment Cells" + FIT)
    off = runs(module_home, "Cells")["off"]
    assert set(off.data.params) == set() and own(off) == {}
    kernel.ok(FIT)  # outside of a run: no run of its own
    assert len(client(module_home).search_runs(["0"])) == 0
    kernel.ok("import mlflow\nmlflow.sklearn.autolog(log_models=False, max_tuning_runs=3)")
    kernel.ok("%%track --name again --experiment Cells --autolog\nx = 1")
    asked = "from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS as known\n"
    assert kernel.ok(asked + "known['sklearn']['disable'], known['sklearn']['max_tuning_runs']").result == (
        "(False, 3)"
    )


def test_without_the_lab_it_is_off_and_says_so(home: Home) -> None:
    said = script(home, f"genops.start('fit', autolog=True)\n{FIT}")
    assert "autologging is off" in said or "No GenOps Lab is running" in said
    assert not (home.work / "mlruns").exists() and not (home.work / "mlflow.db").exists()


TRAINER = """
genops.start("trainer", "Trainer", autolog=True)
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
sizes = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50)
data = [{"input_ids": torch.randint(0, 50, (8,)), "labels": torch.tensor(i % 2)} for i in range(64)]
arguments = TrainingArguments("out", num_train_epochs=1, logging_steps=2, save_strategy="no", use_cpu=True)
Trainer(BertForSequenceClassification(BertConfig(**sizes)), arguments, train_dataset=data).train()
"""


@pytest.mark.exhaustive
def test_transformers(server: LabServer, module_home: Home) -> None:  # noqa: F811
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    script(module_home, TRAINER, HF_HUB_OFFLINE="1")
    (run,) = runs(module_home, "Trainer").values()
    assert run.info.status == "FINISHED" and run.data.params["logging_steps"] == "2"
    assert {"loss", "train_loss", "train/gradient_norm"} <= set(own(run))
    assert len(client(module_home).search_runs(["0"])) == 0
