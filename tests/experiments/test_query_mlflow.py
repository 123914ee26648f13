"""MLflow's own filter strings mean here what they mean there: a real store is asked the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.experiments.query import NotInColumns, QueryError, parse
from tests.support.exhaustive import examples
from tests.support.mlflow_file import place_store
from tests.support.run_columns import Row, RowColumns

NAMES = ["baseline", "Baseline 2", "resnet-50", "été_%", "a_b", "back\\slash", "two\nlines"]
OPTIMIZERS = ["adam", "Adam", "adamw", "sgd", "s_d", "100%", "it's", 'say "x"', "", " adam "]
START = 1_760_000_000_000


@dataclass(frozen=True)
class Store:
    """A store and the same runs as columns."""

    found_by_mlflow: Callable[[str], set[str]]
    columns: RowColumns

    def found_here(self, text: str) -> set[str]:
        mask = parse(text).mask(self.columns, now=START / 1000)
        ids = [str(row.attributes["run_id"]) for row in self.columns.table]
        return {run_id for run_id, matched in zip(ids, mask, strict=True) if matched}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking import MlflowClient

    data = tmp_path_factory.mktemp("asked")
    place_store(data)
    client = MlflowClient(tracking_uri=f"sqlite:///{data / 'mlflow' / 'mlflow.db'}")
    experiment = client.create_experiment("asked", artifact_location=(data / "asked").as_uri())
    losses = [0.25, 1.0, -1.5e-3, 100.0, math.nan, math.inf, -math.inf]
    for at in range(28):
        run = client.create_run(experiment, start_time=START + at * 1000, run_name=NAMES[at % len(NAMES)])
        metrics = [Metric("loss", losses[at % 7], at, 0)] if at % 4 else []
        metrics += [Metric("val/loss 2", at / 8, at, 0)] if at % 3 else []
        params = [Param("opt", OPTIMIZERS[at % 10])] if at % 5 else []
        params += [Param("a.b", str(at)), Param("with space", "x")] if at % 2 else []
        tags = [RunTag("purpose", "demo" if at % 3 else "Test")] if at % 4 != 1 else []
        client.log_batch(run.info.run_id, metrics, params, tags)
        if at % 3:
            status = ["FINISHED", "FAILED", "KILLED"][at % 3]
            client.set_terminated(run.info.run_id, status, end_time=START + at * 2000)

    def found_by_mlflow(text: str) -> set[str]:
        return {run.info.run_id for run in client.search_runs([experiment], text)}

    yield Store(found_by_mlflow, RowColumns([_row(run) for run in client.search_runs([experiment])]))


def _row(run: object) -> Row:
    """An MLflow run as a row."""
    info, data = run.info, run.data  # type: ignore[attr-defined]
    attributes = {
        "run_id": info.run_id,
        "run_name": info.run_name,
        "status": info.status,
        "user": info.user_id,
        "artifact_uri": info.artifact_uri,
        "experiment_id": info.experiment_id,
        "start_time": info.start_time / 1000,
        "end_time": None if info.end_time is None else info.end_time / 1000,
    }
    return Row(attributes, data.metrics, data.params, data.tags)


FILTERS = [
    "",
    "metrics.loss > 0.25",
    "metric.loss>=0.25",
    "metrics.loss\n<\t1",
    "metrics.loss != 1",
    "metrics.loss = -1.5e-3",
    "metrics.loss < .5",
    "metrics.loss <= 1.",
    "metrics.loss = 0",
    "metrics.absent != 1",
    "`metrics`.loss > 0",
    'metrics."val/loss 2" > 1',
    "metrics.`val/loss 2` > 1",
    "metrics.'val/loss 2' > 1",
    "metrics.loss > 0 AND metrics.loss < 50",
    "metrics.loss > 0 and metrics.`val/loss 2` < 3 and params.opt != 'adam'",
    "metrics.loss > 0 metrics.loss < 50",
    "params.opt = 'adam'",
    'parameter.opt = "adam"',
    "parameters.opt != 'adam'",
    "param.opt LIKE 'adam%'",
    "params.opt like '%D%'",
    "params.opt ILIKE '%D%'",
    "params.opt LIKE 's_d'",
    "params.opt LIKE '%'",
    "params.opt LIKE ''",
    "params.opt LIKE '_'",
    "params.opt LIKE '100%'",
    'params.opt = "it\'s"',
    "params.opt = 'say \"x\"'",
    "params.opt = ''",
    "params.opt IS NULL",
    "params.opt is not null",
    "params.absent IS NULL",
    "params.a.b = '3'",
    "params.\"a.b\" = '3'",
    "params.`with space` = 'x'",
    "tags.purpose = 'demo'",
    "tag.purpose IS NULL",
    "tags.mlflow.runName = 'baseline'",
    "tags.`mlflow.runName` LIKE 'base%'",
    "status = 'FINISHED'",
    "status = 'finished'",
    "attributes.status != 'RUNNING'",
    "attribute.status ILIKE 'f%'",
    "attr.status LIKE 'F%'",
    "run.status = 'FAILED'",
    "run_name = 'Baseline 2'",
    "\"run_name\" = 'Baseline 2'",
    "`run name` = 'baseline'",
    "attributes.`Run Name` != 'baseline'",
    "run_name LIKE 'back\\slash'",
    "run_name LIKE 'two%lines'",
    "run_name LIKE 'two_lines'",
    "run_name LIKE '_t__%'",
    "run_name = 'été_%'",
    f"start_time > {START + 5000}",
    f"created >= {START + 5000}",
    f"Created = {START + 5000}",
    f"start_time < {START / 1e12}e12",
    f"end_time != {START + 8000}",
    "end_time > 0",
    "attributes.end_time <= 0",
    "user_id != 'nobody'",
    "artifact_uri LIKE '%artifacts'",
    "run_id IN ('a', 'b')",
    "run_id NOT IN ('a')",
    "attributes.run_id not in ('a',)",
]


@pytest.mark.parametrize("text", FILTERS)
def test_a_filter_finds_what_mlflow_finds(store: Store, text: str) -> None:
    assert store.found_here(text) == store.found_by_mlflow(text)


def test_the_filters_tell_runs_apart(store: Store) -> None:
    found = [len(store.found_here(text)) for text in FILTERS]
    assert len(store.columns.table) == 28
    assert sum(0 < count < 28 for count in found) > 45


def test_ids_in_a_list(store: Store) -> None:
    ids = [str(row.attributes["run_id"]) for row in store.columns.table][::3]
    text = f"run_id IN ({', '.join(repr(run_id) for run_id in ids)})"
    assert store.found_here(text) == store.found_by_mlflow(text) == set(ids)


def test_infinite_metrics_are_found_as_they_were_logged(store: Store) -> None:
    starts = {
        str(row.attributes["run_id"]): round(float(row.attributes["start_time"]) * 1000)
        for row in store.columns.table
    }

    def logged(text: str) -> set[int]:
        return {(starts[run_id] - START) // 1000 for run_id in store.found_here(text)}

    assert logged("metrics.loss = inf") == {5, 19, 26}
    assert logged("metrics.loss IN (-inf, 100)") == {3, 6, 10, 13, 17, 27}
    assert logged("metrics.loss > 99 AND metrics.loss < inf") == {3, 10, 17}


def test_only_mlflow_knows_data_sets(store: Store) -> None:
    assert store.found_by_mlflow("datasets.name = 'x'") == set()
    with pytest.raises(NotInColumns, match="data sets"):
        parse("metrics.loss > 1 AND datasets.name = 'x'")


_NUMBERS = st.sampled_from(["0", "1", "-1", "0.25", ".5", "1.", "-1.5e-3", "1E2", "100.0", "99999999999"])
_COMPARE = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
_KEYWORD = st.sampled_from(["LIKE", "like", "ILIKE", "iLike"])
#: A quote inside its own kind of quotes, and a backslash before the last one, are read otherwise there.
#: SQLite's ILIKE knows the case of ASCII letters alone; PostgreSQL's and ours know them all.
_TEXT = st.one_of(
    st.sampled_from([*NAMES, *OPTIMIZERS, "demo", "Test", "3", "FINISHED", "adam%", "_d%", "%a%", "%_%"]),
    st.text("aAdm_%s .*[(\\^$", max_size=5),
).filter(lambda text: "'" not in text and not text.endswith("\\"))


@st.composite
def _clauses(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["metric", "text", "like", "null", "attribute", "name", "time"]))
    text = draw(st.sampled_from(["params.opt", "params.a.b", "tags.purpose", "tag.`purpose`", "param.none"]))
    if kind == "metric":
        key = draw(st.sampled_from(["metrics.loss", 'metrics."val/loss 2"', "metric.none"]))
        return f"{key} {draw(_COMPARE)} {draw(_NUMBERS)}"
    if kind == "text":
        return f"{text} {draw(st.sampled_from(['=', '!=']))} '{draw(_TEXT)}'"
    if kind == "null":
        return f"{text} {draw(st.sampled_from(['IS NULL', 'is not null', 'IS NOT NULL']))}"
    if kind == "time":
        key = draw(st.sampled_from(["start_time", "end_time", "created"]))
        return f"{key} {draw(_COMPARE)} {START + draw(st.integers(-1, 60)) * 1000}"
    keys = {
        "like": [text],
        "attribute": ["status", "run.user_id"],
        "name": ["run_name", "attributes.`run name`"],
    }
    key = draw(st.sampled_from(keys[kind]))
    how = draw(st.one_of(_KEYWORD, st.sampled_from(["=", "!="])))
    value = draw(_TEXT)
    return f"{key} {how if value.isascii() or how in ('=', '!=') else 'LIKE'} '{value}'"


@given(text=st.lists(_clauses(), min_size=1, max_size=3).map(" AND ".join))
@settings(max_examples=examples(200), deadline=None)
def test_any_filter_finds_what_mlflow_finds(store: Store, text: str) -> None:
    assert store.found_here(text) == store.found_by_mlflow(text)


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss > '1'",
        "status > 'a'",
        "params.opt < 'a'",
        "nothing = 'x'",
        "run_id IN ()",
        "metrics.loss >",
    ],
)
def test_what_mlflow_refuses_for_its_sense_is_refused_here(store: Store, text: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException):
        store.found_by_mlflow(text)
    with pytest.raises(QueryError):
        parse(text)
