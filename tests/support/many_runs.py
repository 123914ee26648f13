"""An embedded MLflow of many runs that look like a person's, filled in bulk into the schema that the Lab made."""

from __future__ import annotations

import contextlib
import math
import random
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXPERIMENTS = ("digits", "sentiment", "forecast")
ADJECTIVES = (
    "amber",
    "brisk",
    "calm",
    "deft",
    "eager",
    "fond",
    "grand",
    "hazy",
    "keen",
    "lucid",
    "merry",
    "noble",
)
ANIMALS = ("fox", "owl", "lynx", "crane", "otter", "seal", "wren", "ibis", "mole", "stag", "toad", "vole")
_APART_S = 400.0


def fill(database: Path, runs: int, *, until: float | None = None, seed: int = 4) -> list[str]:
    """Add ``runs`` runs to MLflow's file, the last one started at ``until``. Answers with their ids, newest first."""
    noise = random.Random(seed)
    until = time.time() if until is None else until
    ids = [uuid.UUID(int=noise.getrandbits(128)).hex for _ in range(runs)]
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        numbers = [_experiment(connection, database.parent, name) for name in EXPERIMENTS]
        for age, run in enumerate(ids):
            for statement, row in _rows(
                run, age, runs, numbers, until - age * _APART_S, noise, database.parent
            ):
                connection.execute(statement, row)
    return ids


def _experiment(connection: sqlite3.Connection, folder: Path, name: str) -> int:
    known = connection.execute("SELECT experiment_id FROM experiments WHERE name = ?", (name,)).fetchone()
    if known:
        return int(known[0])
    now = int(time.time() * 1000)
    made = connection.execute(
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time) "
        "VALUES (?, ?, 'active', ?, ?)",
        (name, f"{folder}/artifacts/{name}", now, now),
    )
    return int(made.lastrowid or 0)


def _rows(
    run: str, age: int, runs: int, experiments: list[int], started: float, noise: random.Random, folder: Path
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    number = runs - age
    name = f"{noise.choice(ADJECTIVES)}-{noise.choice(ANIMALS)}-{number}"
    rate = 10 ** noise.uniform(-4, -1)
    layers = noise.choice((2, 4, 8))
    model = noise.choice(("cnn", "mlp", "transformer"))
    quality = 1 - 0.06 * abs(math.log10(rate) + 2.5) - noise.random() * 0.08
    status = "RUNNING" if age in (0, 3) else noise.choices(("FINISHED", "FAILED", "KILLED"), (90, 7, 3))[0]
    ended = None if status == "RUNNING" else int((started + noise.lognormvariate(6, 1)) * 1000)
    place = noise.randrange(len(experiments))
    user = noise.choice(("ada", "grace", "linus"))
    yield (
        "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, "
        "artifact_uri, experiment_id) VALUES (?, ?, 'LOCAL', ?, ?, ?, ?, 'active', ?, ?)",
        (
            run,
            name,
            user,
            status,
            int(started * 1000),
            ended,
            f"{folder}/artifacts/{EXPERIMENTS[place]}/{run}/artifacts",
            experiments[place],
        ),
    )
    params = {
        "model": model,
        "learning_rate": f"{rate:.2g}",
        "batch_size": str(noise.choice((32, 64, 128, 256))),
        "layers": str(layers),
        "optimizer": noise.choice(("adam", "adamw", "sgd")),
        "seed": str(number % 5),
        "framework": "torch",
    }
    for key, value in params.items():
        yield "INSERT INTO params (run_uuid, key, value) VALUES (?, ?, ?)", (run, key, value)
    metrics = {
        "accuracy": quality,
        "val_accuracy": quality - noise.random() * 0.05,
        "loss": 2 * (1 - quality) + noise.random() * 0.05,
        "val_loss": 2.4 * (1 - quality) + noise.random() * 0.1,
        "epoch": float(noise.randrange(5, 60)),
        **({"f1": quality - 0.02} if place == 1 else {}),
        **({"perplexity": math.exp(4 * (1 - quality))} if model == "transformer" else {}),
    }
    at = int(started * 1000) + 1000
    for table in ("metrics", "latest_metrics"):
        for key, metric in metrics.items():
            yield (
                f"INSERT INTO {table} (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
                (run, key, metric, at),
            )
    tags = {
        "mlflow.user": user,
        "mlflow.source.name": "train.ipynb",
        "mlflow.source.type": "LOCAL",
        "mlflow.runName": name,
        **({"stage": "candidate"} if quality > 0.93 else {}),
    }
    for key, value in tags.items():
        yield "INSERT INTO tags (run_uuid, key, value) VALUES (?, ?, ?)", (run, key, value)


CURVES = ("loss", "val_loss", "accuracy", "val_accuracy")
SPIKE_STEP, SPIKE = 61_803, 40.0


def fill_histories(database: Path, ids: list[str], steps: int) -> None:
    """Give runs that were made by :func:`fill` histories of ``steps`` steps towards the values that they have."""
    noise = random.Random(11)
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for run in ids:
            for key in CURVES:
                last, at = connection.execute(
                    "SELECT value, timestamp FROM latest_metrics WHERE run_uuid = ? AND key = ?", (run, key)
                ).fetchone()
                begin = 0.1 if "accuracy" in key else last + 2.0
                rows = [
                    (key, last + (begin - last) * math.exp(-6 * step / steps) * noise.uniform(0.8, 1.2),
                     at + step * 900, run, step)
                    for step in range(1, steps + 1)
                ]  # fmt: skip
                connection.executemany(_POINT, rows)


def fill_spike(database: Path, run: str, points: int = 100_000, key: str = "grad_norm") -> None:
    """One history of many points, with one spike that is a pixel wide."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        (at,) = connection.execute("SELECT start_time FROM runs WHERE run_uuid = ?", (run,)).fetchone()
        values = (1 + math.sin(step / 900) / 4 for step in range(points))
        rows = [
            (key, SPIKE if step == SPIKE_STEP else value, at + step * 10, run, step)
            for step, value in enumerate(values)
        ]
        connection.executemany(_POINT, rows)
        connection.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)",
            rows[-1],
        )


_POINT = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)"
