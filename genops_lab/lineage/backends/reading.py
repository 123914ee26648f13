"""Read runs and versions from MLflow in few searches: none for each object of 10,000."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from genops_lab.experiments.backends.client import NO_SUCH_ENDPOINT, PAGE, all_pages, quoted
from genops_lab.lineage.names import version_of

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Runs that are read to find what a name means.
MAX_RUNS = 300
#: Ids in one search.
_AT_ONCE = 100
#: Models of which each is asked for derived versions; of more, all derived versions are read.
SINGLE = 12
#: Most versions of one search.
MAX_VERSIONS = 10_000
PARENT, BASE, SOURCE = "genops.parent", "genops.base_model", "genops.source"
EVALUATION = "genops.evaluation."
_RUN_ID = re.compile(r"[0-9a-f]{32}")
COMMIT = "mlflow.source.git.commit"
_LOGGED = "models:/m-"
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_INVALID = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


class Reading:
    """The runs and versions that one question has read. All methods block and raise MLflow's errors."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._runs: dict[str, Any] = {}
        self._versions: dict[tuple[str, str], Any] = {}
        self._derived: dict[tuple[str, str], dict[tuple[str, str], Any]] = {}
        self._asked: set[str] = set()
        self._asked_all = False

    @cached_property
    def experiments(self) -> dict[str, str]:
        """The names of all experiments by id, deleted ones too."""
        from mlflow.entities import ViewType

        return {
            each.experiment_id: each.name
            for each in all_pages(self._client.search_experiments, view_type=ViewType.ALL)
        }

    def runs_where(self, condition: str, limit: int = 0, after: Any = None) -> tuple[list[Any], Any]:
        """Return the newest runs that match, deleted ones too, and MLflow's token of the next page."""
        from mlflow.entities import ViewType

        page = self._client.search_runs(
            list(self.experiments),
            filter_string=condition,
            run_view_type=ViewType.ALL,
            max_results=limit or MAX_RUNS,
            order_by=["attributes.start_time DESC"],
            page_token=after,
        )
        self._runs.update({run.info.run_id: run for run in page})
        return list(page), page.token

    def runs(self, ids: Iterable[str]) -> dict[str, Any]:
        """Return runs by id, deleted ones too; those that MLflow does not have are missing."""
        wanted = list(dict.fromkeys(ids))
        for some in parts([id for id in wanted if id not in self._runs and "'" not in id]):
            self.runs_where(f"attributes.run_id IN ({listed(some)})", limit=len(some))
        return {id: self._runs[id] for id in wanted if id in self._runs}

    def versions_of_runs(self, ids: Iterable[str]) -> list[Any]:
        """Return the versions that runs logged."""
        return [
            version
            for some in parts([id for id in ids if "'" not in id])
            for version in self._found(f"run_id IN ({listed(some)})")
        ]

    def newest_versions(self) -> list[Any]:
        """Return the newest 1,000 versions of all models."""
        return list(
            self._client.search_model_versions(max_results=PAGE, order_by=["creation_timestamp DESC"])
        )

    def versions_with_source(self, uri: str) -> list[Any]:
        """Return the versions with this source."""
        return self._found(f"source_path = {quoted(uri)}")

    def versions_with_base(self, base: str, prefix: bool = False) -> list[Any]:
        """Return the versions whose base model is this, or begins so."""
        condition = f"LIKE {quoted(base + '%')}" if prefix else f"= {quoted(base)}"
        return self._found(f"tags.`{BASE}` {condition}")

    def versions(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """Return versions by model and number; those that do not exist are missing."""
        found = {}
        for pair in dict.fromkeys(pairs):
            version = self._versions.get(pair) or self._version(*pair)
            if version is not None:
                found[pair] = version
        return found

    def derived(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
        """Return the versions that name one of these as their parent or base, by the one that they name."""
        names = [name for name in dict.fromkeys(name for name, _ in pairs) if name not in self._asked]
        single = len(names) <= SINGLE and not any("'" in name and '"' in name for name in names)
        # Under "_" and "%" LIKE finds too much, and the pairs say what is meant.
        prefixes = [f"models:/{name}/" for name in names] if single else ["models:/"] if names else []
        for prefix in [] if self._asked_all else prefixes:
            for tag in (PARENT, BASE):
                for version in self._found(f"tags.`{tag}` LIKE {quoted(prefix + '%')}"):
                    for pair in parents(version):
                        self._derived.setdefault(pair, {})[version.name, str(version.version)] = version
        self._asked.update(names)
        self._asked_all = self._asked_all or not single
        return {pair: list(self._derived[pair].values()) for pair in pairs if pair in self._derived}

    def aliases(self, names: Iterable[str]) -> dict[tuple[str, str], list[str]]:
        """Return the aliases of the versions of these models, by model and number."""
        from mlflow.exceptions import MlflowException

        found: dict[tuple[str, str], list[str]] = {}
        wanted = list(dict.fromkeys(names))
        models: list[Any] = []
        for some in parts([name for name in wanted if "'" not in name]):
            try:
                models += self._client.search_registered_models(f"name IN ({listed(some)})", PAGE)
            except MlflowException as error:
                if error.error_code not in _INVALID:
                    raise
                models += [known for name in some if (known := self._model(name)) is not None]
        models += [known for name in wanted if "'" in name and (known := self._model(name)) is not None]
        for model in models:
            for alias, number in sorted(model.aliases.items()):
                found.setdefault((model.name, str(number)), []).append(alias)
        return found

    def by_alias(self, name: str, alias: str) -> Any:
        """Return the version that an alias names now, None for none."""
        return _known(lambda: self._client.get_model_version_by_alias(name, alias), (*_UNKNOWN, *_INVALID))

    def models_judged_on(self, name: str, digest: str) -> list[tuple[str, str]]:
        """Return the runs that logged metrics of logged models on a data set, each with the id of such a model."""
        from mlflow.exceptions import MlflowException

        try:
            models = self._client.search_logged_models(
                list(self.experiments), datasets=[{"dataset_name": name, "dataset_digest": digest}]
            )
        except MlflowException as error:
            if error.error_code == NO_SUCH_ENDPOINT:  # a server of MLflow 2
                return []
            raise
        return [
            (metric.run_id, model.model_id)
            for model in models
            for metric in model.metrics or []
            if (metric.dataset_name, metric.dataset_digest) == (name, digest)
            and metric.run_id not in (None, model.source_run_id)
        ]

    def models_judged_by(self, run_id: str) -> list[str]:
        """Return the logged models that a run took in without logging one itself."""
        run = _known(lambda: self._client.get_run(run_id), (*_UNKNOWN, *_INVALID))
        # MLflow's answers to searches lack these.
        taken = getattr(run and run.inputs, "model_inputs", None) or []
        made = getattr(run and run.outputs, "model_outputs", None) or []
        return [] if made else [str(each.model_id) for each in taken]

    def judging_runs(self, model_id: str) -> list[str]:
        """Return the runs that logged metrics of a logged model on data sets, other than the model's own run."""
        model = _known(
            lambda: self._client.get_logged_model(model_id), (*_UNKNOWN, *_INVALID, NO_SUCH_ENDPOINT)
        )
        if model is None:
            return []
        runs = [each.run_id for each in model.metrics or [] if each.run_id and each.dataset_name]
        return [id for id in dict.fromkeys(runs) if id != model.source_run_id]

    def _model(self, name: str) -> Any:
        return _known(lambda: self._client.get_registered_model(name), _UNKNOWN)

    def _version(self, name: str, number: str) -> Any:
        version = _known(lambda: self._client.get_model_version(name, number), (*_UNKNOWN, *_INVALID))
        if version is not None:
            self._versions[name, number] = version
        return version

    def _found(self, condition: str) -> list[Any]:
        found = list(islice(self._pages(condition), MAX_VERSIONS))
        self._versions.update({(each.name, str(each.version)): each for each in found})
        return found

    def _pages(self, condition: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_model_versions(condition, max_results=PAGE, page_token=token)
            yield from page
            if not (token := page.token):
                return


def _known(read: Any, missing: Sequence[str]) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code in missing:
            return None
        raise


def parts(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in parts that fit into one search."""
    for begin in range(0, len(items), _AT_ONCE):
        yield items[begin : begin + _AT_ONCE]


def listed(items: Iterable[str]) -> str:
    """Return ids for ``IN (...)``."""
    return ", ".join(f"'{each}'" for each in items)


def parents(version: Any) -> list[tuple[str, str]]:
    """Return the versions that a version's tags name as its parent or base."""
    found = [version_of(version.tags.get(tag, "")) for tag in (PARENT, BASE)]
    return list(dict.fromkeys(pair for pair in found if pair is not None and pair[1].isdecimal()))


def base_of(version: Any) -> str:
    """Return the base model outside of the registry; empty for none."""
    base = str(version.tags.get(BASE, ""))
    named = version_of(base)
    return "" if named is not None and named[1].isdecimal() else base


def logged_model_of(version: Any) -> str:
    """Return the id of the logged model of MLflow 3 that a version was registered from; empty for none."""
    source = str(version.source or "")
    return source.removeprefix("models:/") if source.startswith(_LOGGED) else ""


def origin_of(version: Any) -> str:
    """Return the source of a version in a few words, from the tag that registering wrote; empty for none."""
    with contextlib.suppress(ValueError):
        source = json.loads(version.tags.get(SOURCE, "{}"))
        if isinstance(source, dict):
            return str(source.get("uri") or source.get("kind") or "")[:300]
    return ""


def evaluated_by(run: Any) -> tuple[str, str] | None:
    """Return the version that an evaluation run of GenOps Lab judged."""
    tags = run.data.tags
    pair = tags.get(f"{EVALUATION}model", ""), tags.get(f"{EVALUATION}version", "")
    return pair if all(pair) else None


def evaluations_of(version: Any) -> list[str]:
    """Return the evaluation runs that a version's tags name, the newest of each data set."""
    tags = version.tags.items()
    return [run for key, run in tags if key.startswith(EVALUATION) and _RUN_ID.fullmatch(str(run))]
