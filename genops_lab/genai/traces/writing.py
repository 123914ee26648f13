"""Write to MLflow in its worker: spans that came by OTLP, and traces as rows of a data set."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zlib
from typing import Any

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors, quoted

from .mlflow_traces import MlflowTraces
from .models import AddedRows, NewRows, TracesTaken
from .tree import INPUTS, OUTPUTS, attributes_of, value_at

#: Bytes of a request after decompression: a small body may hold gigabytes.
MOST_BYTES = 64 * 1024 * 1024
JSON, PROTOBUF = "application/json", "application/x-protobuf"
_IDS = ("traceId", "spanId", "parentSpanId")


class OtlpTraces(MlflowBackend):
    """Takes spans in the form of OpenTelemetry, and hands them to MLflow's own code."""

    def take(self, body: bytes, media_type: str, encoding: str, experiment: str, run_id: str) -> TracesTaken:
        """Keep the spans of an ``ExportTraceServiceRequest``. ``experiment``: a name or an id.

        Raises InvalidRequest (the body, its type or encoding), NotFound (the experiment).
        """
        spans = spans_in(_decompressed(body, encoding), media_type)
        if not spans:
            return TracesTaken(spans=0, traces=0)
        trace_ids = sorted({span.trace_id for span in spans})
        with mlflow_errors("The spans could not be kept in MLflow"):
            self._client._tracing_client.log_spans(self._experiment(experiment), spans)
            if run_id:
                self._client.link_traces_to_run(trace_ids, run_id)
        return TracesTaken(spans=len(spans), traces=len(trace_ids))

    def _experiment(self, given: str) -> str:
        found = self._client.get_experiment_by_name(given)
        if found is not None:
            return str(found.experiment_id)
        if not given.isdecimal():
            raise NotFound(
                f"There is no experiment {given[:80]!r}.", hint="Add it: genops experiments add NAME"
            )
        return str(self._client.get_experiment(given).experiment_id)


class DatasetRows(MlflowBackend):
    """Puts traces into data sets of MLflow."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **others: Any) -> None:
        super().__init__(tracking_uri, scratch, **others)
        self._traces = MlflowTraces(tracking_uri, scratch)

    def add(self, new: NewRows) -> AddedRows:
        """Add rows made from traces. Raises NotFound (a trace), InvalidRequest (no inputs; several data sets)."""
        rows = [self.row(trace_id, new.with_answer) for trace_id in new.trace_ids]
        with mlflow_errors(f"The data set {new.dataset!r} could not be changed"):
            dataset = self._dataset(new.dataset, self._traces.experiment_of(new.trace_ids[0]))
            counts = self._client._tracking_client.store.upsert_dataset_records(dataset.dataset_id, rows)
        return AddedRows(
            dataset=dataset.name,
            dataset_id=dataset.dataset_id,
            rows=len(rows),
            added=int(counts.get("inserted", 0)),
            updated=int(counts.get("updated", 0)),
        )

    def row(self, trace_id: str, with_answer: bool = False) -> dict[str, Any]:
        """Return a trace as a record of a data set. Raises NotFound, InvalidRequest (no inputs)."""
        top, expectations, session = self._traces.top(trace_id)
        attributes = {} if top is None else attributes_of(top)
        inputs = value_at(attributes, INPUTS)
        if inputs is None:
            raise InvalidRequest(
                f"The trace {trace_id} has no inputs, so it cannot become a row.",
                hint="Choose a trace whose first span has inputs.",
            )
        outputs = value_at(attributes, OUTPUTS)
        if with_answer and outputs is not None:
            expectations.setdefault("expected_response", outputs)
        source: dict[str, str] = {"trace_id": trace_id}
        if session:
            source["session_id"] = session
        return {
            "inputs": inputs if isinstance(inputs, dict) else {"input": inputs},
            "outputs": outputs,
            "expectations": expectations,
            "source": {"source_type": "TRACE", "source_data": source},
        }

    def _dataset(self, name: str, experiment_id: str) -> Any:
        found = self._client.search_datasets(filter_string=f"name = {quoted(name)}", max_results=2)
        if len(found) > 1:
            raise InvalidRequest(
                f"MLflow has several data sets with the name {name!r}.", hint="Choose another name."
            )
        return found[0] if found else self._client.create_dataset(name, experiment_id=experiment_id)


def _decompressed(body: bytes, encoding: str) -> bytes:
    """Return the body, at most MOST_BYTES. Raises InvalidRequest."""
    try:
        if encoding in ("", "identity"):
            found = body
        elif encoding == "gzip":
            found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MOST_BYTES + 1)
        elif encoding == "deflate":
            found = zlib.decompressobj().decompress(body, MOST_BYTES + 1)
        else:
            raise InvalidRequest(
                f"The encoding {encoding[:40]!r} is not known.", hint="Send gzip, deflate or no encoding."
            )
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"The body is not {encoding}: {error}.", hint="Check the exporter.") from error
    if len(found) > MOST_BYTES:
        raise InvalidRequest(
            f"The spans have more than {MOST_BYTES // 1024**2} MB.",
            hint="Let the exporter send smaller batches.",
        )
    return found


def spans_in(body: bytes, media_type: str) -> list[Any]:
    """Return the spans of an OTLP request as MLflow's. Raises InvalidRequest."""
    from google.protobuf.json_format import Error as JsonError
    from google.protobuf.json_format import Parse
    from google.protobuf.message import DecodeError
    from mlflow.entities.span import Span
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        if media_type == JSON:
            Parse(_with_base64_ids(body), request, ignore_unknown_fields=True)
        elif media_type == PROTOBUF:
            request.ParseFromString(body)
        else:
            raise InvalidRequest(
                f"The content type {media_type[:80]!r} is not OTLP.", hint=f"Send {PROTOBUF} or {JSON}."
            )
        return [
            Span.from_otel_proto(span, resource=resource.resource)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
    except (DecodeError, JsonError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"The body is not an OTLP request for traces: {str(error)[:200]}.", hint="Check the exporter."
        ) from error


def _with_base64_ids(body: bytes) -> str:
    """Return OTLP's JSON with ids as protobuf's JSON has them: OTLP writes hexadecimal digits instead of base64."""
    request = json.loads(body)
    for resource in request.get("resourceSpans", []):
        for scope in resource.get("scopeSpans", []):
            for span in scope.get("spans", []):
                for holder in (span, *span.get("links", [])):
                    for name in _IDS:
                        if holder.get(name):
                            holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
    return json.dumps(request)
