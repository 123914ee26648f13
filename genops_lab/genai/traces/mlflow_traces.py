"""Read whole traces in the MLflow worker, and write what GenOps Lab adds to them."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors
from genops_lab.genai.endpoints.limits import Price
from genops_lab.runtime.traced_cells import CELL, NOTEBOOK

from .comparing import content_digest, pairs_of
from .content import MOST_CHARACTERS, Exchanges, content_of
from .metadata import (
    CALLER_SPAN,
    CALLER_TRACE,
    COST,
    MODEL,
    RUN,
    SESSION,
    SOURCE,
    TRACE_NAME,
    USAGE,
    USER,
    value_of,
)
from .models import (
    Assessment,
    ChatTurn,
    RetrievedDocument,
    SessionTrace,
    Span,
    SpanContent,
    Tokens,
    Trace,
    TraceComparison,
)
from .retrieved import retrievers
from .tree import MOST_SPANS, RawSpan, attributes_of, decoded, tree_of, value_at

#: MLflow's own metadata that repeat the content, and those that are shown as fields.
_LEFT_OUT = (
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
    "mlflow.trace.sizeStats",
    "mlflow.trace.infoFinalized",
)
_IN_STORE = "TRACKING_STORE"
#: MLflow's errors for what is not there.
GONE = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


log = logging.getLogger("genops_lab")


class MlflowTraces(MlflowBackend):
    """The traces of one MLflow. All methods block."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **others: Any) -> None:
        super().__init__(tracking_uri, scratch, **others)
        from genops_lab.experiments.columns.sqlite_source import file_of

        self._file = file_of(tracking_uri)
        self._experiments: dict[str, str] = {}

    def trace(
        self, trace_id: str, prices: Mapping[str, Price], content: bool, called: Sequence[str] = ()
    ) -> Trace:
        """Return a trace with its tree. ``prices`` by model. Raises NotFound.

        Without ``content`` the messages of spans, and texts of assessments, are left out. ``called``: traces of
        deployments that name a span of this one as their caller. Their spans stand below it.
        """
        info = self._info(trace_id)
        below = self._called(called)
        with self._spans(info) as (found, total):
            tree = tree_of(
                itertools.chain(found, below), prices.get, frozenset(each.span_id for each in below)
            )
        if below:
            shown = {each.span_id for each in tree.spans}
            total += sum(each.span_id in shown for each in below)
        metadata = {key: str(value) for key, value in (info.trace_metadata or {}).items()}
        usage = decoded(metadata.get(USAGE, ""))
        tokens = _sum(tree.spans) or (
            Tokens(input=usage.get("input_tokens"), output=usage.get("output_tokens")) if usage else None
        )
        kept = decoded(metadata.get(COST, "")).get("total_cost")
        costs, partial = _costs(tree.spans)
        from_prices = any(each.cost_source == "price" for each in tree.spans)
        problems = tree.problems
        if total > len(tree.spans) and total > MOST_SPANS:
            problems = [*problems, f"The trace has {total:,} spans; the first {MOST_SPANS:,} are shown."]
        tags = {key: str(value) for key, value in (info.tags or {}).items()}
        spans = tree.spans if content else [replace(each, message="") for each in tree.spans]
        assessments = [_assessment(each) for each in info.assessments or [] if each.valid is not False]
        if not content:
            assessments = [
                replace(each, value=each.value if _is_plain(each.value) else "", rationale="", error="")
                for each in assessments
            ]
        return Trace(
            trace_id=info.trace_id,
            name=tags.get(TRACE_NAME) or next((each.name for each in tree.spans), ""),
            status=info.state.value,
            experiment_id=str(info.experiment_id),
            experiment=self._experiment(str(info.experiment_id)),
            started_at=_seconds(info.request_time),
            duration=_seconds(info.execution_duration),
            session=metadata.get(SESSION, ""),
            user=metadata.get(USER, ""),
            run_id=metadata.get(RUN, ""),
            notebook=metadata.get(NOTEBOOK, ""),
            cell=metadata.get(CELL, ""),
            model_id=metadata.get(MODEL, ""),
            source=metadata.get(SOURCE, ""),
            tokens=tokens,
            cost=sum(costs) if from_prices or (kept is None and costs) else kept,
            cost_source="price" if from_prices else "mlflow" if costs or kept is not None else "",
            cost_is_partial=partial and bool(costs),
            caller_trace=self._there(tags.get(CALLER_TRACE, "")),
            tags={key: text for key, text in tags.items() if not key.startswith("mlflow.")},
            metadata={key: text for key, text in metadata.items() if key not in _LEFT_OUT},
            assessments=assessments,
            spans=spans,
            spans_total=total,
            problems=problems,
        )

    def _there(self, trace_id: str) -> str:
        """Return the id of a trace, empty if MLflow does not have it."""
        try:
            return str(self._info(trace_id).trace_id) if trace_id else ""
        except NotFound:
            return ""

    def _called(self, traces: Sequence[str]) -> list[RawSpan]:
        """Return the first span of each trace of a deployment, with the span of the application above it."""
        found = []
        for each in traces:
            with contextlib.suppress(NotFound):
                top, _, _ = self.top(each)
                caller = "" if top is None else value_at(attributes_of(top), CALLER_SPAN)
                if top is not None and isinstance(caller, str) and caller:
                    found.append(top._replace(parent_id=caller))
        return found

    def documents(
        self, trace_id: str, caller_span: str, ended_ns: int | None
    ) -> list[RetrievedDocument] | None:
        """Return the documents that were retrieved for a call of a deployment, of all retrievers in order.

        None: the application's trace is not there, or the span that called is not.
        """
        try:
            info = self._info(trace_id)
        except NotFound:
            return None
        with self._spans(info) as (spans, _):
            found = retrievers(spans, caller_span, ended_ns)
        if found is None:
            return None
        contents = [
            content_of(trace_id, each, each.start_ns, MOST_CHARACTERS, lambda _id: None) for each in found
        ]
        documents = [document for content in contents for document in content.documents]
        # A retriever of several has those of each again.
        return list({(each.source, each.text.text): each for each in documents}.values())

    def span(self, trace_id: str, span_id: str) -> RawSpan | None:
        """Return a span; None if the trace has no such span. Raises NotFound (the trace)."""
        with self._spans(self._info(trace_id), span_id) as (found, _):
            return next((each for each in found if each.span_id == span_id), None)

    def compare(self, first: str, second: str, prices: Mapping[str, Price]) -> TraceComparison:
        """Return two traces with their spans in pairs. Raises NotFound."""
        whole = [self.trace(each, prices, content=False) for each in (first, second)]
        digests = []
        for each in (first, second):
            with self._spans(self._info(each)) as (found, _):
                digests.append({raw.span_id: content_digest(raw) for raw in found})
        pairs = pairs_of(whole[0].spans, whole[1].spans, *digests)
        one, other = (replace(each, spans=[]) for each in whole)
        return TraceComparison(first=one, second=other, pairs=pairs)

    def top(self, trace_id: str) -> tuple[RawSpan | None, dict[str, Any], str]:
        """Return the first span without a parent, the expectations by name, and the session. Raises NotFound."""
        info = self._info(trace_id)
        with self._spans(info) as (found, _):
            top = _first_of(found)
        expectations = {
            each.name: each.expectation.value
            for each in info.assessments or []
            if each.expectation is not None and each.valid is not False
        }
        session = (info.trace_metadata or {}).get(SESSION, "")
        return top, expectations, session

    def said(
        self, traces: list[SessionTrace], characters: int, prices: Mapping[str, Price], content: bool
    ) -> list[SessionTrace]:
        """Return traces of a session with what was said in them, if ``content``, and with costs by ``prices``.

        A trace that is gone by now has a problem in place of turns.
        """
        exchanges = Exchanges(characters)
        found = []
        for each in traces:
            try:
                turns: list[ChatTurn] = []
                if content:
                    info = self._info(each.trace_id)
                    with self._spans(info) as (spans, _):
                        top = _first_of(spans)
                    turns = exchanges.of(each.trace_id, top, partial(self._attached, info)) if top else []
                cost = each.cost
                if cost is None and each.tokens is not None and prices:
                    cost = self.trace(each.trace_id, prices, content=False).cost
                found.append(replace(each, turns=turns, cost=cost))
            except NotFound as error:
                found.append(replace(each, problem=error.message))
        return found

    def experiment_of(self, trace_id: str) -> str:
        """Return the id of a trace's experiment. Raises NotFound."""
        return str(self._info(trace_id).experiment_id)

    def content(self, trace_id: str, span_id: str, characters: int) -> SpanContent:
        """Return what a span was asked and what it answered. Raises NotFound (the trace, the span)."""
        info = self._info(trace_id)
        with self._spans(info, span_id) as (found, _):
            spans = list(found)
        begin = min((each.start_ns for each in spans), default=0)
        raw = next((each for each in spans if each.span_id == span_id), None)
        if raw is None:
            raise NotFound(
                f"The trace {info.trace_id} has no span {span_id[:80]!r}.",
                hint=f"List its spans: genops traces show {info.trace_id}",
            )
        if self._file is not None and is_in_store(info):
            begin = self._begin(info.trace_id) or begin
        return content_of(info.trace_id, raw, begin, characters, partial(self._attached, info))

    def _attached(self, info: Any, attachment_id: str) -> bytes | None:
        """Return the bytes of an attachment; None if they cannot be read."""
        from mlflow.exceptions import MlflowException

        try:
            repository = self._client._tracing_client._get_artifact_repo_for_trace(info)
            return bytes(repository.download_trace_attachment(attachment_id))
        except (MlflowException, OSError) as error:
            log.warning(
                "The attachment %s of the trace %s could not be read: %s", attachment_id, info.trace_id, error
            )
            return None

    def _info(self, trace_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        with mlflow_errors(f"The trace {trace_id[:80]} could not be read"):
            try:
                return self._client._tracing_client.get_trace_info(trace_id)
            except MlflowException as error:
                if error.error_code not in GONE:
                    raise
        raise NotFound(f"There is no trace {trace_id[:80]!r}.", hint="List the traces: genops traces list")

    @contextlib.contextmanager
    def _spans(self, info: Any, only: str = "") -> Iterator[tuple[Iterator[RawSpan], int]]:
        """Give the trace's spans (with ``only``: at least that one), at most MOST_SPANS, and their number."""
        if self._file is None or not is_in_store(info):
            spans = self._through_mlflow(info)
            yield iter(spans[:MOST_SPANS]), len(spans)
            return
        from .spans_file import SpansFile

        store = SpansFile(self._file)
        try:
            yield store.spans(info.trace_id, only), store.number(info.trace_id)
        finally:
            store.close()

    def _begin(self, trace_id: str) -> int | None:
        if self._file is None:
            return None
        from .spans_file import SpansFile

        store = SpansFile(self._file)
        try:
            return store.begin(trace_id)
        finally:
            store.close()

    def _through_mlflow(self, info: Any) -> list[RawSpan]:
        from mlflow.exceptions import MlflowException

        tracing = self._client._tracing_client
        with mlflow_errors(f"The spans of the trace {info.trace_id} could not be read"):
            try:
                if is_in_store(info):
                    # Without allow_partial MLflow waits 3 s for spans that may never come.
                    found = tracing.store.get_trace(info.trace_id, allow_partial=True)
                else:
                    found = tracing.get_trace(info.trace_id)
            except MlflowException as error:
                if error.error_code not in GONE:
                    raise
                return []
        spans = [] if found is None or found.data is None else found.data.spans
        return [_raw(each.to_dict()) for each in spans]

    def _experiment(self, experiment_id: str) -> str:
        if experiment_id not in self._experiments:
            with mlflow_errors(f"The experiment {experiment_id} could not be read"):
                self._experiments[experiment_id] = self._client.get_experiment(experiment_id).name
        return self._experiments[experiment_id]


def _first_of(spans: Iterable[RawSpan]) -> RawSpan | None:
    """Return the first span without a parent."""
    return min((each for each in spans if not each.parent_id), key=lambda each: each.start_ns, default=None)


def _raw(content: dict[str, Any]) -> RawSpan:
    end = content.get("end_time_unix_nano")
    return RawSpan(
        _hexadecimal(content.get("span_id")),
        _hexadecimal(content.get("parent_span_id")),
        str(content.get("name") or ""),
        int(content.get("start_time_unix_nano") or 0),
        int(end) if end else None,
        content,
        len(json.dumps(content, default=str)),
    )


def _hexadecimal(encoded: str | None) -> str:
    """Return a span's id as hexadecimal digits: MLflow writes it in base64 too."""
    if not encoded:
        return ""
    if len(encoded) == 16 and all(each in "0123456789abcdef" for each in encoded):
        return encoded
    try:
        return base64.b64decode(encoded, validate=True).hex()
    except ValueError:
        return encoded


def is_in_store(info: Any) -> bool:
    """Return whether a trace's spans are in MLflow's database, not in files."""
    return bool((info.tags or {}).get("mlflow.trace.spansLocation") == _IN_STORE)


def _sum(spans: list[Span]) -> Tokens | None:
    """Return the tokens of all spans; those of a span above others that have their own are not counted twice."""
    counted: list[Tokens] = []
    stack: list[tuple[int, bool]] = []
    for span in spans:
        while stack and stack[-1][0] >= span.depth:
            stack.pop()
        covered = bool(stack) and stack[-1][1]
        if span.tokens is not None and not covered:
            counted.append(span.tokens)
        stack.append((span.depth, covered or span.tokens is not None))
    if not counted:
        return None

    def total(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return Tokens(
        input=total([each.input for each in counted]),
        output=total([each.output for each in counted]),
        cached_input=total([each.cached_input for each in counted]),
        reasoning=total([each.reasoning for each in counted]),
    )


def _costs(spans: list[Span]) -> tuple[list[float], bool]:
    """Return the costs, and whether some are unknown. A call that two spans tell of, one above the other, counts once:
    the application's and the deployment's own."""
    costs: list[float] = []
    unknown: set[str] = set()
    stack: list[Span] = []
    covered = -1  # the depth of the span above whose cost counts
    for span in spans:
        while stack and stack[-1].depth >= span.depth:
            stack.pop()
        if covered >= span.depth:
            covered = -1
        stack.append(span)
        if covered >= 0:
            continue
        if span.cost is not None:
            costs.append(span.cost)
            covered = span.depth
            if unknown:
                unknown.difference_update(each.span_id for each in stack)
        elif span.tokens is not None:
            unknown.add(span.span_id)
    return costs, bool(unknown)


def _assessment(found: Any) -> Assessment:
    if found.issue is not None:
        kind, value = "issue", getattr(found.issue, "issue_name", None)
    elif found.expectation is not None:
        kind, value = "expectation", found.expectation.value
    else:
        kind, value = "feedback", found.feedback.value
    error = getattr(found.feedback, "error", None) if found.feedback is not None else None
    return Assessment(
        assessment_id=found.assessment_id or "",
        name=found.name,
        kind=kind,  # type: ignore[arg-type]
        value=json.dumps(value, default=str),
        source=found.source.source_type,
        source_id=found.source.source_id or "",
        span_id=found.span_id or "",
        rationale=found.rationale or "",
        error="" if error is None else str(error.error_message or error.error_code),
        at=_seconds(found.last_update_time_ms),
    )


def _is_plain(value: str) -> bool:
    """Return whether an assessment's value is a number, true or false, or a judge's yes or no."""
    return isinstance(value_of(value), float)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
