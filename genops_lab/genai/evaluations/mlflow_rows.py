"""Take the rows of an evaluation from MLflow: traces, or a data set of evaluations."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.operations import require
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors, quoted
from genops_lab.experiments.columns.models import RunTableQuery
from genops_lab.genai.traces.writing import DatasetRows

from .models import DataSet

TRACES, DATASET = "traces:", "dataset:"
_MOST, _PAGE, _WAIT_S = 10_000, 1000, 30.0


class MlflowRows(MlflowBackend):
    """Reads traces and data sets in MLflow's worker."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **others: Any) -> None:
        super().__init__(tracking_uri, scratch, **others)
        self._traces = DatasetRows(tracking_uri, scratch)

    def of_traces(self, ids: list[str]) -> bytes:
        """Return a row for each trace: its inputs, what people expect of it, and ``response``.

        Raises InvalidRequest (a trace without inputs), NotFound.
        """
        rows = []
        for trace_id in ids:
            found = self._traces.row(trace_id)
            rows.append({**_flat(found), "response": _text(found["outputs"]), "trace_id": trace_id})
        return _lines(rows)

    def data_sets(self, query: PageQuery) -> Page[DataSet]:
        """Return data sets, last changed first. Raises Unavailable."""
        with mlflow_errors("The data sets could not be listed"):
            found = self._client.search_datasets(
                max_results=query.limit, order_by=["last_update_time DESC"], page_token=query.after or None
            )
        items = [
            DataSet(name=each.name, rows=_count(each.profile), updated_at=each.last_update_time / 1000)
            for each in found
        ]
        return Page(items=items, next=found.token or "")

    def of_dataset(self, name: str) -> bytes:
        """Return the records of a data set. Raises NotFound, InvalidRequest (several of that name), Unavailable."""
        with mlflow_errors(f"The data set {name!r} could not be read"):
            found = self._client.search_datasets(filter_string=f"name = {quoted(name)}", max_results=2)
            if not found:
                raise NotFound(
                    f"MLflow has no data set {name[:80]!r}.",
                    hint="Add rows to one: genops traces add-row TRACE --dataset NAME",
                )
            if len(found) > 1:
                raise InvalidRequest(
                    f"MLflow has several data sets with the name {name[:80]!r}.",
                    hint="Rename one of them in MLflow.",
                )
            rows, token = [], ""
            while True:
                records, token = self._client._tracking_client.store._load_dataset_records(
                    found[0].dataset_id, _PAGE, token or None
                )
                for each in records:
                    given = {"inputs": each.inputs, "expectations": each.expectations or {}}
                    rows.append(
                        {**_flat(given), "response": _text(each.outputs), "record_id": each.dataset_record_id}
                    )
                if not token or len(rows) > _MOST:
                    break
        _check_count(len(rows), f"The data set {name!r}")
        return _lines(rows)


def is_in_mlflow(data: str) -> bool:
    """Return whether MLflow has the rows: ``data`` names no file."""
    return data.startswith((TRACES, DATASET))


async def require_content(data: str) -> None:
    """Check that the caller may read rows that MLflow has. Raises NotAllowed."""
    if is_in_mlflow(data):
        await require("read", "trace_content", f"The rows {data[:80]!r} are what requests and answers said")


async def taken(
    data: str,
    query: Callable[[RunTableQuery], Awaitable[Any]],
    call: Callable[..., Awaitable[bytes]],
) -> bytes:
    """Return the rows that ``data`` names in MLflow as JSON lines.

    query: asks the table of traces. call: calls a method of a backend in MLflow's worker. Raises InvalidRequest,
    NotFound, Unavailable.
    """
    if data.startswith(DATASET):
        return await call(MlflowRows.of_dataset, data.removeprefix(DATASET).strip())
    ids: list[str] = []
    text = data.removeprefix(TRACES).strip()
    while True:
        asked = RunTableQuery(query=text, limit=_PAGE, offset=len(ids), lifecycle="all", wait_s=_WAIT_S)
        found = await query(asked)
        ids += found.run_ids
        if len(found.run_ids) < _PAGE or len(ids) > _MOST:
            break
    _check_count(len(ids), f"The query {text!r}" if text else "All traces together")
    return await call(MlflowRows.of_traces, ids)


def _count(profile: str | None) -> int | None:
    """Return the number of records that MLflow keeps with a data set."""
    try:
        found = json.loads(profile or "")["num_records"]
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) else None


def _check_count(count: int, what: str) -> None:
    if count == 0:
        raise InvalidRequest(f"{what} has no rows.", hint="Try the query: genops traces list --filter QUERY")
    if count > _MOST:
        raise InvalidRequest(f"{what} has over {_MOST:,} rows.", hint="Choose fewer by a narrower query.")


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a record: inputs, and expectations beside them. ``expected`` is the expected answer."""
    inputs, expectations = record["inputs"], dict(record["expectations"])
    for name in ("expected_response", "expected_answer"):
        if name in expectations and "expected" not in expectations:
            expectations["expected"] = _text(expectations[name])
    return {**expectations, **inputs}


def _text(value: Any) -> Any:
    """Return the text of a chat completion; other values as they are."""
    if isinstance(value, dict):
        try:
            return value["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)
