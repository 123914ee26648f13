"""Walk from an object to what it was made from and to what stands on it, in the MLflow worker."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.paging import Page
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors, quoted
from genops_lab.experiments.backends.run_source import MlflowKept, datasets_of
from genops_lab.experiments.query.errors import did_you_mean
from genops_lab.experiments.run_tags import RUN_KEY_TAG
from genops_lab.lineage.graph import Graph
from genops_lab.lineage.models import Direction, Lineage, LineageNode, LineageRunsQuery
from genops_lab.lineage.names import Start, data_id, version_id
from genops_lab.registry.backends.mlflow_models import MlflowModels

from . import uses
from .reading import (
    COMMIT,
    MAX_RUNS,
    SINGLE,
    Reading,
    base_of,
    evaluated_by,
    evaluations_of,
    logged_model_of,
    origin_of,
    parents,
)
from .uses import Store, Subject, store_of, with_data

#: Most nodes that one question reads.
MAX_NODES = 2000
#: Runs whose cells are counted, each of which costs some small files.
_WITH_CELLS = 3
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment of a version; ``owner`` is empty for one of this Lab."""

    name: str
    model: str
    version: str
    state: str = ""
    owner: str = ""

    @property
    def label(self) -> str:
        """The name, below the owner for a deployment of another Lab."""
        return f"{self.owner}/{self.name}" if self.owner else self.name


class MlflowLineage(MlflowBackend):
    """The lineage of objects of one MLflow."""

    def __init__(self, tracking_uri: str, **others: Any) -> None:
        super().__init__(tracking_uri, **others)
        self._kept = MlflowKept(tracking_uri, **others)

    def lineage(self, start: Start, direction: Direction, limit: int, deployments: list[Serving]) -> Lineage:
        """Return what an object was made from and what stands on it. Raises NotFound and InvalidRequest."""
        with (
            mlflow_errors("The lineage could not be read"),
            self._walk(deployments, max(1, limit // 2)) as walk,
        ):
            root = self._root(walk, start)
            graph = Graph(root)
            if direction != "down":
                walk.go(graph, walk.above, [root])
            if direction != "up":
                walk.go(graph, walk.below, [root])
            if root.deleted and len(graph.nodes) == 1:
                MlflowModels(self._client.tracking_uri).number(root.model, root.version)  # raises NotFound
            walk.name_aliases(graph)
            self._count_cells(graph, walk.tracked)
            return graph.shown(limit)

    def runs_without_version(self, start: Start, query: LineageRunsQuery) -> Page[LineageNode]:
        """Return a page of the runs of a data set or commit that lead to no version, newest first."""
        if start.kind not in ("data", "commit"):
            raise InvalidRequest(
                f"{query.of[:200]!r} is neither a data set nor a commit.",
                hint="Name it as data:NAME@DIGEST or commit:SHA.",
            )
        from mlflow.exceptions import MlflowException

        with mlflow_errors("The runs could not be read"), self._walk([], 1) as walk:
            subject = subject_of(self._root(walk, start))
            try:
                ids, after = walk.store.bare(subject, walk.judging(subject), query.limit, query.after)
            except ValueError as error:
                raise query.bad_cursor() from error
            except MlflowException as error:
                if query.after and "page token" in str(error.message).lower():
                    raise query.bad_cursor() from error
                raise
            return Page(items=[walk.run(id, run) for id, run in walk.reading.runs(ids).items()], next=after)

    @contextlib.contextmanager
    def _walk(self, deployments: list[Serving], most_runs: int) -> Iterator[Walk]:
        reading = Reading(self._client)
        store = store_of(self._client.tracking_uri, reading)
        try:
            yield Walk(reading, store, deployments, most_runs)
        finally:
            store.close()

    def _root(self, walk: Walk, start: Start) -> LineageNode:
        reading = walk.reading
        if start.kind == "data":
            return self._data(walk, start)
        if start.kind == "commit":
            return self._commit(walk, start.name)
        if start.kind == "base":
            return self._base(reading, start.name)
        if start.kind == "run":
            return walk.run(start.name, reading.runs([start.name]).get(start.name))
        if start.kind == "deployment":
            return next(node_of(each) for each in walk.deployments if each.label == start.name)
        pair = start.name, start.part
        if not start.part.isdecimal():
            found = reading.by_alias(*pair) if start.part else None
            number = (
                found.version if found is not None else MlflowModels(self._client.tracking_uri).number(*pair)
            )
            pair = start.name, str(number)
        return walk.version(pair, reading.versions([pair]).get(pair))

    def _data(self, walk: Walk, start: Start) -> LineageNode:
        # The exact digest first: it may be the beginning of another one.
        found = self._named(walk, start) if start.part else None
        if found is None:
            digests = walk.store.digests(start.name, start.part)
            if len(digests) > 1:
                raise _several(f"data set {start.name!r}", [data_id(start.name, each) for each in digests])
            found = self._named(walk, start._replace(part=digests[0])) if digests else None
        if found is None:
            raise self._no_data(walk.reading, start)
        return found

    @staticmethod
    def _named(walk: Walk, start: Start) -> LineageNode | None:
        runs, _ = walk.reading.runs_where(with_data(start.name, f"= {quoted(start.part)}"), limit=1)
        data = [each for run in runs for each in datasets_of(run)]
        return next(
            (data_node(each) for each in data if (each.name, each.digest) == (start.name, start.part)), None
        )

    def _no_data(self, reading: Reading, start: Start) -> NotFound:
        runs, _ = reading.runs_where("")
        known = [(each.name, each.digest) for run in runs for each in datasets_of(run)]
        digests = [data_id(name, digest) for name, digest in known if name == start.name]
        if digests:
            advice = f"Its digests are: {', '.join(dict.fromkeys(digests))}."
        else:
            advice = did_you_mean(start.name, {name for name, _ in known})
        digest = f" with the digest {start.part}" if start.part else ""
        return NotFound(
            f"No run has a data set {start.name!r}{digest}.",
            hint=f"{advice} Keep a run's data with it: genops.dataset(data, name='train')".strip()[:1500],
        )

    def _commit(self, walk: Walk, given: str) -> LineageNode:
        if not _COMMIT.fullmatch(given):
            raise InvalidRequest(
                f"{given[:70]!r} is not a commit.", hint="Give 4 or more of the commit's hexadecimal digits."
            )
        found = walk.store.commits(given.lower())
        if len(found) > 1:
            raise _several(f"commit {given!r}", [f"commit:{each}" for each in found])
        if not found:
            raise NotFound(
                f"No run was made from the commit {given}.",
                hint="GenOps Lab notes the commit of each tracked run. List the runs: genops runs list",
            )
        return LineageNode(id=f"commit:{found[0]}", kind="commit", name=found[0], commit=found[0])

    def _base(self, reading: Reading, given: str) -> LineageNode:
        found = {base_of(each) for each in reading.versions_with_base(given, prefix=True)} - {""}
        found = {given} if given in found else {each for each in found if each.startswith(given)}
        if len(found) > 1:
            raise _several(f"base model {given!r}", [f"base:{each}" for each in sorted(found)])
        if not found:
            raise NotFound(
                f"No version names the base model {given[:200]!r}.",
                hint="A base model is named as it was registered, such as base:hf:ORG/NAME@REVISION.",
            )
        return base_node(found.pop())

    def _count_cells(self, graph: Graph, tracked: set[str]) -> None:
        """Add the cells and the environment of the nearest tracked runs."""
        for id in [id for id in graph.nodes if id in tracked][:_WITH_CELLS]:
            node = graph.nodes[id]
            try:
                kept = self._kept.kept(node.run_id)
            except GenOpsError as error:  # the rest of the lineage stands
                if error.code != "no_cells":
                    graph.note(f"The cells of the run {node.name or node.run_id} cannot be read.")
                continue
            environment = ""
            if kept.record is not None and (python := kept.record.environment.python):
                lock = kept.record.environment.lock_file
                environment = f"Python {python}, {lock.name}" if lock else f"Python {python}"
            graph.nodes[id] = msgspec.structs.replace(
                node, cells=len(kept.cells), environment=environment[:200]
            )


Neighbours = Callable[[Graph, list[LineageNode]], list[LineageNode]]


class Walk:
    """Finds the neighbours of nodes, many nodes at once."""

    def __init__(
        self, reading: Reading, store: Store, deployments: Sequence[Serving], most_runs: int
    ) -> None:
        self.reading = reading
        self.store = store
        self._most_runs = most_runs
        self.deployments = deployments
        #: The ids of the nodes of runs that GenOps Lab tracked.
        self.tracked: set[str] = set()
        #: The logged models that runs judged by MLflow's own means.
        self._judged: dict[str, set[str]] = {}

    def go(self, graph: Graph, neighbours: Neighbours, front: list[LineageNode]) -> None:
        """Add all ancestors or all descendants of ``front``. Ends with circles, because a node is added once."""
        while front:
            front = neighbours(graph, front)
            if len(graph.nodes) > MAX_NODES:
                graph.note(f"The lineage has more than {MAX_NODES:,} objects. The farthest are not read.")
                return

    def above(self, graph: Graph, front: list[LineageNode]) -> list[LineageNode]:
        """Add the objects that these were made from; return the new ones."""
        new: list[LineageNode] = []

        def add(node: LineageNode, of: LineageNode, kind: Any, context: str = "") -> None:
            if graph.add(node, of.id, kind, upward=True, context=context):
                new.append(node)

        for node in _of_kind(front, "deployment"):
            pair = node.model, node.version
            add(self.version(pair, self.reading.versions([pair]).get(pair)), node, "serves")
        versions = _of_kind(front, "version")
        known = self.reading.versions((node.model, node.version) for node in versions)
        judged: dict[str, list[str]] = {}
        for node in versions:
            if (version := known.get((node.model, node.version))) is not None:
                model_id = logged_model_of(version)
                by_mlflow = self.reading.judging_runs(model_id) if model_id else []
                judged[node.id] = [*evaluations_of(version), *by_mlflow]
        runs = self.reading.runs(
            [
                *(node.run_id for node in versions if node.run_id),
                *(id for ids in judged.values() for id in ids),
            ]
        )
        for node in versions:
            if node.run_id:
                add(self.run(node.run_id, runs.get(node.run_id)), node, "logged")
            for id in judged.get(node.id, ()):
                add(self.run(id, runs.get(id)), node, "evaluated")
            version = known.get((node.model, node.version))
            if version is None:
                continue
            ups = parents(version)
            there = self.reading.versions(ups)
            for pair in ups:
                add(self.version(pair, there.get(pair)), node, "derived")
            if base := base_of(version):
                add(base_node(base), node, "base")
        ids = [node.run_id for node in _of_kind(front, "run")]
        runs = self.reading.runs(ids)
        for node in _of_kind(front, "run"):
            if (run := runs.get(node.run_id)) is not None:
                for data in datasets_of(run):
                    add(data_node(data), node, "input", data.context)
        return new

    def below(self, graph: Graph, front: list[LineageNode]) -> list[LineageNode]:
        """Add the objects that stand on these; return the new ones."""
        new: list[LineageNode] = []

        def add(node: LineageNode, of: LineageNode, kind: Any, context: str = "") -> None:
            if graph.add(node, of.id, kind, upward=False, context=context):
                new.append(node)

        for node in front:
            if node.kind == "data":
                for run in self._users(graph, node):
                    for context in subject_of(node).contexts(run):
                        add(self.run(run.info.run_id, run), node, "input", context)
            elif node.kind == "commit":
                for run in self._users(graph, node):
                    add(self.run(run.info.run_id, run), node, "commit")
            elif node.kind == "base":
                for version in self.reading.versions_with_base(node.name):
                    add(self.version(_pair(version), version), node, "base")
        self._below_runs(add, _of_kind(front, "run"))
        versions = _of_kind(front, "version")
        derived = self.reading.derived([(node.model, node.version) for node in versions]) if versions else {}
        for node in versions:
            for version in derived.get((node.model, node.version), ()):
                add(self.version(_pair(version), version), node, "derived")
            for each in self.deployments:
                if (each.model, each.version) == (node.model, node.version):
                    add(node_of(each), node, "serves")
        return new

    def _below_runs(self, add: Callable[..., None], front: list[LineageNode]) -> None:
        nodes = {node.run_id: node for node in front}
        for version in self.reading.versions_of_runs(nodes):
            add(self.version(_pair(version), version), nodes[version.run_id], "logged")
        runs = self.reading.runs(nodes)
        judged = {id: pair for id, run in runs.items() if (pair := evaluated_by(run)) is not None}
        known = self.reading.versions(judged.values())
        for id, pair in judged.items():
            add(self.version(pair, known.get(pair)), nodes[id], "evaluated")
        if len(nodes) <= SINGLE:
            for id in nodes.keys() - judged.keys():
                self._judged.setdefault(id, set()).update(self.reading.models_judged_by(id))
        for id in [id for id in nodes if id in self._judged and id not in judged]:
            for model_id in sorted(self._judged[id]):
                for version in self.reading.versions_with_source(f"models:/{model_id}"):
                    add(self.version(_pair(version), version), nodes[id], "evaluated")

    def judging(self, subject: Subject) -> list[str]:
        """Return the runs that judged logged models on a data set by MLflow's own means."""
        if subject.commit:
            return []
        found = self.reading.models_judged_on(subject.name, subject.digest)
        for run_id, model_id in found:
            self._judged.setdefault(run_id, set()).add(model_id)
        return list(dict.fromkeys(run_id for run_id, _ in found))[:MAX_RUNS]

    def _users(self, graph: Graph, node: LineageNode) -> list[Any]:
        """Return the runs of a data set or commit that the picture needs; the others are counted."""
        subject = subject_of(node)
        found = self.store.uses(subject, self._most_runs, self.judging(subject))
        ids = found.with_version
        if not found.exact or found.leading > len(ids):
            ids = list(dict.fromkeys([*ids, *self._deployed()]))
        runs = self.reading.runs([*ids, *found.without_version])
        used = {id: run for id, run in runs.items() if subject.used_by(run)}
        graph.add_unread(found.leading - len(used.keys() & set(ids)))
        if not found.without_version:
            graph.add_unread(found.bare, without_version=True, at_least=not found.exact)
        if not found.exact:
            what = "commit" if subject.commit else "data set"
            graph.note(
                f"More than {uses.NEWEST} runs used this {what}. GenOps Lab reads the newest, those of the newest "
                "1,000 versions, and all that deployments stand on."
            )
        return list(used.values())

    def _deployed(self) -> list[str]:
        """Return the runs that deployments stand on: those must never be missing."""
        runs: list[str] = []
        seen: set[tuple[str, str]] = set()
        front = {(each.model, each.version) for each in self.deployments}
        while front:
            seen |= front
            versions = self.reading.versions(front).values()
            for version in versions:
                runs += [version.run_id or "", *evaluations_of(version)]
            front = {pair for version in versions for pair in parents(version)} - seen
        return [id for id in dict.fromkeys(runs) if id]

    def name_aliases(self, graph: Graph) -> None:
        """Add the aliases, which MLflow leaves out of its answer to a search."""
        versions = _of_kind(graph.nodes.values(), "version")
        aliases = self.reading.aliases(node.model for node in versions) if versions else {}
        for node in versions:
            if found := aliases.get((node.model, node.version)):
                graph.nodes[node.id] = msgspec.structs.replace(node, aliases=found)

    def run(self, id: str, run: Any) -> LineageNode:
        """Return the node of a run; ``run`` is None for one that MLflow does not have any more."""
        if run is None:
            return LineageNode(id=f"run:{id}", kind="run", name="", run_id=id, deleted=True)
        tags = run.data.tags
        if RUN_KEY_TAG in tags:
            self.tracked.add(f"run:{id}")
        return LineageNode(
            id=f"run:{id}",
            kind="run",
            name=run.info.run_name or tags.get("mlflow.runName", ""),
            run_id=id,
            deleted=run.info.lifecycle_stage == "deleted",
            status=str(run.info.status),
            experiment=self.reading.experiments.get(run.info.experiment_id, ""),
            user=tags.get("mlflow.user", ""),
            started_at=run.info.start_time / 1000 if run.info.start_time else None,
            source=tags.get("mlflow.source.name", ""),
            commit=tags.get(COMMIT, ""),
            dirty=tags.get("mlflow.source.git.dirty", "").lower() == "true",
        )

    def version(self, pair: tuple[str, str], version: Any) -> LineageNode:
        """Return the node of a version; ``version`` is None for a deleted one."""
        name, number = pair
        node = LineageNode(id=version_id(name, number), kind="version", name=name, model=name, version=number)
        if version is None:
            return msgspec.structs.replace(node, deleted=True)
        return msgspec.structs.replace(node, run_id=version.run_id or "", source=origin_of(version))


def subject_of(node: LineageNode) -> Subject:
    """Return the data set or commit of a node."""
    return Subject("", "", node.commit) if node.kind == "commit" else Subject(node.name, node.digest)


def data_node(data: Any) -> LineageNode:
    """Return the node of a data set."""
    return LineageNode(
        id=data_id(data.name, data.digest),
        kind="data",
        name=data.name,
        digest=data.digest,
        source=data.source,
    )


def base_node(base: str) -> LineageNode:
    """Return the node of a base model outside of the registry."""
    return LineageNode(id=f"base:{base}", kind="base", name=base)


def node_of(each: Serving) -> LineageNode:
    """Return the node of a deployment."""
    return LineageNode(
        id=f"deployment:{each.label}",
        kind="deployment",
        name=each.name,
        model=each.model,
        version=each.version,
        state=each.state,
        owner=each.owner,
    )


def _of_kind(nodes: Any, kind: str) -> list[LineageNode]:
    return [node for node in nodes if node.kind == kind]


def _pair(version: Any) -> tuple[str, str]:
    return version.name, str(version.version)


def _several(what: str, names: list[str]) -> InvalidRequest:
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return InvalidRequest(
        f"{len(names)} objects match the {what}.",
        hint=f"Give more characters: {shown}",
        code="ambiguous",
        details={"names": names[:100]},
    )
