"""What is known about versions, for tests of cards and bills of materials."""

from __future__ import annotations

from typing import Any

from genops_lab.cards.models import DataSet, Energy, HashedFile, Known, Metric, Training
from genops_lab.registry.files.models import ModelFacts, ModelField, ModelSignature

FILES = [
    HashedFile(path="MLmodel", size_bytes=20, sha256="a" * 64),
    HashedFile(path="data/Gewichte ü.bin", size_bytes=5_000, sha256="b" * 64),
]


def known(**changes: Any) -> Known:
    """A version of which everything is known."""
    accuracy = {"name": "accuracy", "data": "test", "digest": "d1g3"}
    found: dict[str, Any] = {
        "name": "digits",
        "version": "3",
        "description": "Reads **digits**.",
        "created_at": 1_800_000_000.0,
        "facts": ModelFacts(
            verdict="code",
            headline="Runs code when loaded: model.pkl",
            advice="Load it only if you trust who made it.",
            formats=["pickle"],
            size_bytes=5_020,
            file_count=2,
            parameters=137,
            dtypes={"fp32": 137},
            architecture="LogisticRegression",
            flavors=["sklearn", "python_function"],
            signature=ModelSignature(inputs=[ModelField(name="x", type="float32[?, 64]")]),
            input_example='{"inputs": [[0, 0, 5]]}',
            requirements=[
                "scikit-learn==1.7.2",
                "numpy>=1.24",
                "torch @ https://user:s3cret@example.org/torch.whl",
                "--index-url https://user:s3cret@example.org/simple",
                "???",
            ],
            licence="apache-2.0",
        ),
        "training": Training(
            run_id="0f" * 16,
            run_name="quick-fox",
            experiment="Digits",
            user="ann",
            source="train.ipynb",
            commit="c" * 40,
            dirty=True,
            started_at=1_800_000_000.0,
            duration_s=125.0,
            target="gpu1",
            gpus=2,
            params={"lr": "0.1", "note": "a | b <b>"},
            metrics=[Metric(name="loss", value=0.25)],
            data=[DataSet(name="train", digest="tr41n", source="s3://bucket/train", context="training")],
            energy=Energy(kwh=1.5, co2_kg=0.6, source="the run's metrics"),
        ),
        "evaluations": [
            Metric(value=0.912, low=0.9, high=0.922, rows=1_000, **accuracy),
            Metric(value=0.95, low=0.93, high=0.96, rows=500, group="age=young", **accuracy),
            Metric(value=0.8, low=0.5, high=0.94, rows=12, group="age=old", **accuracy),
            Metric(value=0.88, low=0.84, high=0.91, rows=488, group="age=middle", **accuracy),
            Metric(name="log_loss", value=0.31, data="test", digest="d1g3"),
        ],
        "base_model": "hf:org/base@v1",
    }
    return Known(**{**found, **changes})


def unknown() -> Known:
    """A version of which nothing is known but its files."""
    return Known(name="bare", version="1", facts=ModelFacts(verdict="data", headline="Files hold data only"))
