"""Read what MLflow knows about a version, for its card and its bill of materials."""

from __future__ import annotations

import itertools
import math
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.evaluations.tags import DATA, newest
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry.backends import beside
from genops_lab.registry.backends.signatures import MlflowSignatures
from genops_lab.runtime.model_files import file_digest, plain_files

from ..models import DataSet, Energy, HashedFile, Known, Metric, Training

if TYPE_CHECKING:
    from genops_lab.evaluations.predictions import Predictions

#: The tag of a version with the place of its card, for people: GenOps Lab finds the place by itself.
TAG = "genops.card"
MAX_PARAMS = 200
MAX_METRICS = 100
MAX_EVALUATIONS = 20
MAX_GROUPS = 100
PREDICTIONS = "predictions.parquet"
_GPU = re.compile(r"system/gpu_(\d+)_")
_GPU_WATTS = re.compile(r"system/gpu_\d+_power_usage_watts")
#: CodeCarbon's names, and plain ones. The factor gives kWh.
_ENERGY = {"energy_consumed": 1.0, "energy_kwh": 1.0, "energy_wh": 1e-3, "energy_j": 1 / 3.6e6}
_EMISSIONS = ("emissions", "emissions_kg", "co2_kg")


class CardKnowledge(MlflowSignatures):
    """Facts about versions, and their kept cards."""

    def known(self, name: str, version: str) -> Known:
        """Return all that is known about a version. Raises NotFound."""
        found = self.resolve(name, version)
        with mlflow_errors(f"Cannot read {name!r} version {found.version}"):
            raw = self._client.get_model_version(name, found.version)
            facts = self._facts.read(name, found.version)
            unread: list[str] = []
            tags = dict(raw.tags)
            return Known(
                name=name,
                version=found.version,
                description=raw.description or self._client.get_registered_model(name).description or "",
                created_at=found.created_at,
                facts=facts,
                training=self._training(found.run_id, unread) if found.run_id else None,
                evaluations=self._evaluations(tags, unread),
                base_model=tags.get("genops.base_model", "") or facts.base_model,
                source=_json(tags.get("genops.source", "")),
                gates=_json(tags.get("genops.gates", "")),
                unread=unread,
            )

    def hashed(self, name: str, version: str) -> list[HashedFile]:
        """Return the files of a version with their hashes; those of another machine are fetched for it."""
        with mlflow_errors(f"Cannot read the files of {name!r} version {version}"):
            location = beside.model_location(self._client, name, version)
            with self._files(name, version, location) as folder:
                return [
                    HashedFile(path=path, size_bytes=Path(full).stat().st_size, sha256=file_digest(full))
                    for path, full in sorted(plain_files(str(folder)))
                ]

    def read_card(self, name: str, version: str) -> bytes | None:
        """Return the kept card of a version, or None."""
        with mlflow_errors(f"Cannot read the card of {name!r} version {version}"):
            location = beside.model_location(self._client, name, version)
            return beside.read(self._client, location, card_file(name, version))

    def write_card(self, name: str, version: str, content: bytes) -> str:
        """Keep the card of a version beside its files, and return its URI."""
        with mlflow_errors(f"Cannot keep the card of {name!r} version {version}"):
            location = beside.model_location(self._client, name, version)
            place = beside.write(self._client, location, card_file(name, version), content)
            self._client.set_model_version_tag(name, version, TAG, place)
            return place

    def _training(self, run_id: str, unread: list[str]) -> Training:
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException:
            unread.append(f"The run {run_id} cannot be read: it may have been deleted.")
            return Training(run_id=run_id)
        tags, info = run.data.tags, run.info
        metrics = run.data.metrics
        shown = sorted(
            name for name in metrics if not name.startswith("system/") and math.isfinite(metrics[name])
        )
        return Training(
            run_id=run_id,
            run_name=info.run_name or "",
            experiment=self._client.get_experiment(info.experiment_id).name,
            user=tags.get("mlflow.user", ""),
            source=tags.get("mlflow.source.name", ""),
            commit=tags.get("mlflow.source.git.commit", ""),
            dirty=tags.get("mlflow.source.git.dirty") == "true",
            started_at=(info.start_time or 0) / 1000 or None,
            duration_s=(info.end_time - info.start_time) / 1000
            if info.end_time and info.start_time
            else None,
            target=tags.get("genops.target", ""),
            gpus=len({found[1] for name in metrics if (found := _GPU.match(name))}),
            params=dict(sorted(run.data.params.items())[:MAX_PARAMS]),
            metrics=[Metric(name=name, value=metrics[name]) for name in shown[:MAX_METRICS]],
            data=_data(run),
            energy=self._energy(run_id, metrics),
        )

    def _energy(self, run_id: str, metrics: dict[str, float]) -> Energy:
        named = {name.rpartition("/")[2].lower(): value for name, value in metrics.items()}
        kwh = next((named[name] * factor for name, factor in _ENERGY.items() if name in named), None)
        co2 = next((named[name] for name in _EMISSIONS if name in named), None)
        source = "the run's metrics" if kwh is not None or co2 is not None else ""
        watts = [name for name in metrics if _GPU_WATTS.fullmatch(name)]
        if kwh is None and watts:
            kwh = sum(self._joules(run_id, name) for name in watts) / 3.6e6
            source = "the power of the GPUs during the run"
        return Energy(kwh=kwh, co2_kg=co2, source=source)

    def _joules(self, run_id: str, name: str) -> float:
        """Integrate power in W over the time of its points (trapezoids)."""
        points = sorted(
            (each.timestamp / 1000, each.value) for each in self._client.get_metric_history(run_id, name)
        )
        return sum(
            (end - begin) * (before + after) / 2
            for (begin, before), (end, after) in itertools.pairwise(points)
        )

    def _evaluations(self, tags: dict[str, str], unread: list[str]) -> list[Metric]:
        found: list[Metric] = []
        for (data, digest), run_id in sorted(newest(tags).items())[:MAX_EVALUATIONS]:
            try:
                found += self._evaluation(run_id, data, digest)
            except (
                Exception
            ) as error:  # MLflow's, the disk's and pyarrow's: the card goes on without this evaluation
                said = error.message if isinstance(error, GenOpsError) else str(error)
                reason = (said.strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
                unread.append(f"The evaluation on {data} cannot be read: {reason}.")
        return found

    def _evaluation(self, run_id: str, data: str, digest: str) -> list[Metric]:
        from genops_lab.evaluations.predictions import read

        run = self._client.get_run(run_id)
        data = run.data.tags.get(
            DATA, data
        )  # the version's tag has a name without the characters that MLflow refuses
        found = []
        if any(entry.path == PREDICTIONS for entry in self._client.list_artifacts(run_id)):
            scratch = tempfile.mkdtemp(prefix="card-", dir=self._scratch)
            try:
                copy = self._client.download_artifacts(run_id, PREDICTIONS, scratch)
                found = _measured(read(copy), data, digest)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        computed = {each.name for each in found}
        others = [
            Metric(name=name, value=value, data=data, digest=digest)
            for name, value in sorted(run.data.metrics.items())
            if name not in computed and not name.startswith("system/") and math.isfinite(value)
        ]
        return [*found, *others[:MAX_METRICS]]


def _measured(predictions: Predictions, data: str, digest: str) -> list[Metric]:
    """Return the metrics that the report of an evaluation shows, overall and by group."""
    from genops_lab.evaluations.metrics import by_group, compared

    rows = [
        *compared(predictions, None, latency=False),
        *itertools.islice(by_group(predictions, None), MAX_GROUPS),
    ]
    return [
        Metric(
            name=each.metric,
            value=each.candidate.value,
            low=each.candidate.low,
            high=each.candidate.high,
            rows=each.candidate.rows,
            data=data,
            digest=digest,
            group=f"{each.group}={each.value}" if each.group else "",
        )
        for each in rows
        if each.candidate.value is not None
    ]


def card_file(name: str, version: str) -> str:
    """Return the name of the card's file: versions of several names may share a model's folder.

    >>> card_file("digits", "3")
    'card-cc6b6bad31a0-3.md'
    """
    import hashlib

    return f"card-{hashlib.sha256(name.encode()).hexdigest()[:12]}-{version}.md"


def _data(run: Any) -> list[DataSet]:
    found = []
    for each in getattr(run.inputs, "dataset_inputs", None) or []:
        context = next((tag.value for tag in each.tags if tag.key == "mlflow.data.context"), "")
        source = _json(each.dataset.source or "")
        where = next((str(source[key]) for key in ("path", "uri", "url") if source.get(key)), "")
        found.append(
            DataSet(name=each.dataset.name, digest=each.dataset.digest or "", source=where, context=context)
        )
    return found


def _json(text: str) -> dict[str, Any]:
    """Return an object of a tag, which anybody may have written; empty for what is none."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
