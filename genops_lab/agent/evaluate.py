"""Run the models of an evaluation on this host (``agent evaluate FOLDER``), for ``attach`` as a command.

The folder has what :mod:`.evaluations` placed there. Events are JSON lines: ``rows`` with the share that is predicted,
``line`` for a log, and at last ``done`` or ``failed`` with a hint. The predictions of each model are in its folder, in
``answers.parquet``. Batches that are predicted stay, so a second start continues.
"""

from __future__ import annotations

import json
import os
from typing import Any

from .commands import MARK
from .model_process import ModelSpec, Rows, Turns, TurnsFailed
from .model_variables import model_environment

SESSION, ROWS, RUNNER = "session.json", "rows.parquet", "runner.py"


def main(folder: str) -> int:
    """Predict the rows with every model. Return 0, or 1 after an error."""
    with open(os.path.join(folder, SESSION), encoding="utf-8") as stream:
        session = json.load(stream)
    marks = {name: os.environ[name] for name in (MARK,) if name in os.environ}
    specs = []
    for at, model in enumerate(session["models"]):
        out = os.path.join(folder, f"model-{at}")
        environment = model_environment(os.environ, allow_pickle=bool(model["allow_pickle"]))
        specs.append(
            ModelSpec(
                model["name"], os.path.join(out, "model"), model["interpreter"], {**environment, **marks}, out
            )
        )
    rows = Rows(
        os.path.join(folder, ROWS),
        int(session["rows"]),
        [str(each) for each in session["left_out"]],
        int(session["batch_rows"]),
    )
    turns = Turns(
        os.path.join(folder, RUNNER),
        specs,
        rows,
        lambda message, share: _say(rows=message, share=share),
        lambda line: _say(line=line),
    )
    try:
        turns.run()
        turns.pack()
    except TurnsFailed as error:
        _say(failed=error.message, hint=error.hint)
        return 1
    _say(done=True)
    return 0


def _say(**event: Any) -> None:
    print(json.dumps(event), flush=True)
