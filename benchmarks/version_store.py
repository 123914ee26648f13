"""Registered models with many versions, in a store that MLflow reads: its own schema, filled in bulk."""

from __future__ import annotations

import json
import random
from typing import Any

from sqlalchemy import create_engine, text

_MADE_MS = 1_710_000_000_000


def fill(uri: str, models: int, versions: int, *, evaluated: int = 3) -> list[str]:
    """Add ``models`` models that share ``versions`` versions of the runs that are there. Returns the models' names.

    Each model has a champion; one version in ``evaluated`` has an evaluation and a verdict of gates.
    """
    engine = create_engine(uri)
    noise = random.Random(7)
    names = [f"model-{number:03d}" for number in range(models)]
    with engine.begin() as connection:
        runs = [row[0] for row in connection.execute(text("SELECT run_uuid FROM runs ORDER BY start_time"))]
        rows: list[dict[str, Any]] = []
        tags: list[dict[str, Any]] = []
        for at in range(versions):
            name, version = names[at % models], at // models + 1
            run = runs[at % len(runs)] if runs and at % 10 else None
            rows.append(
                {
                    "name": name, "version": version, "at": _MADE_MS + at * 60_000, "run": run, "about": f"take {at}",
                    "source": f"models:/m-{at:032x}",
                }
            )  # fmt: skip
            tags.append({"name": name, "version": version, "key": "team", "value": f"team {at % 5}"})
            if run and at % evaluated == 0:
                verdict = noise.choice(("pass", "fail", "not_enough_data"))
                gates = json.dumps({"verdict": verdict, "file": "gates.yaml", "hash": f"{at:040x}"})
                tags.append({"name": name, "version": version, "key": "genops.gates", "value": gates})
                key = "genops.evaluation.holdout:3f2a91c0"
                tags.append({"name": name, "version": version, "key": key, "value": run})
        connection.execute(
            text(
                "INSERT INTO registered_models (name, creation_time, last_updated_time) VALUES (:name, :at, :at)"
            ),
            [{"name": name, "at": _MADE_MS} for name in names],
        )
        connection.execute(
            text(
                "INSERT INTO model_versions (name, version, creation_time, last_updated_time, current_stage, source, "
                "run_id, status, description) "
                "VALUES (:name, :version, :at, :at, 'None', :source, :run, 'READY', :about)"
            ),
            rows,
        )
        connection.execute(
            text(
                "INSERT INTO model_version_tags (name, version, key, value) VALUES (:name, :version, :key, :value)"
            ),
            tags,
        )
        connection.execute(
            text(
                "INSERT INTO registered_model_aliases (name, alias, version) VALUES (:name, 'champion', :version)"
            ),
            [
                {"name": name, "version": noise.randrange(versions // models) + 1}
                for name in names
                if versions >= models
            ],
        )
    engine.dispose()
    return names
