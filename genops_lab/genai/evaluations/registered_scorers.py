"""Take scorers that are registered in MLflow, as they are when an evaluation begins."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors
from genops_lab.genai.scorers.base import BaseScorer
from genops_lab.genai.scorers.programs import Mlflow


class RegisteredScorer(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer to take: ``name`` is registered in ``experiment``, and ``kept_as`` the file that keeps it."""

    name: str
    experiment: str
    kept_as: str


def registered_in(scorers: Sequence[BaseScorer], experiment: str) -> list[RegisteredScorer]:
    """Return the registered scorers among scorers; those without an experiment are in ``experiment``."""
    return [
        RegisteredScorer(name=each.registered, experiment=each.experiment or experiment, kept_as=each.kept_as)
        for each in scorers
        if isinstance(each, Mlflow) and each.registered
    ]


class MlflowScorers(MlflowBackend):
    """Reads registered scorers in MLflow's worker."""

    def take(self, wanted: list[RegisteredScorer]) -> dict[str, str]:
        """Return the JSON of each scorer's newest version by ``kept_as``. Raises NotFound, InvalidRequest, Unavailable.

        A scorer that is a Python function is refused: its code would run with all that the user may do.
        """
        return {each.kept_as: self._json(each) for each in wanted}

    def _json(self, wanted: RegisteredScorer) -> str:
        name, experiment = wanted.name[:80], wanted.experiment[:80]
        with mlflow_errors(f"The registered scorer {name!r} could not be read"):
            found = self._client.get_experiment_by_name(wanted.experiment)
            if found is None:
                raise NotFound(
                    f"MLflow has no experiment {experiment!r}, where the scorer {name!r} is looked for.",
                    hint="Name the experiment in which it is registered: experiment: NAME",
                )
            store = self._client._tracking_client.store
            known = [
                each for each in store.list_scorers(found.experiment_id) if each.scorer_name == wanted.name
            ]
        if not known:
            raise NotFound(
                f"No scorer {name!r} is registered in the experiment {experiment!r}.",
                hint="Name the experiment in which it is registered: experiment: NAME",
            )
        content: dict[str, Any] = json.loads(known[0]._serialized_scorer)
        if content.get("call_source"):
            raise InvalidRequest(
                f"The registered scorer {name!r} is a Python function, and its code is not run.",
                hint="Write it into a file beside the evaluation file: {scorer: function, file: FILE.py}",
            )
        return json.dumps(content)
