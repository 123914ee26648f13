"""Redact traces, their tags and assessments, and rows of evaluation data sets before they leave this kernel.

MLflow calls a function with each span that ends (``mlflow.tracing.configure(span_processors=...)``), before any
exporter has the span. Tags and assessments pass its tracing client. The setting is off, secrets or personal:
that of the Lab (``GenOpsLab.redact_traces``), or ``%genops redaction set``.
"""

from __future__ import annotations

import copy
import functools
import inspect
import os
import sys
import threading
from collections import OrderedDict
from typing import Any, Callable, Dict, List, Optional

from .errors import GenOpsError
from .imports import when_imported

MODE_VARIABLE = "GENOPS_REDACT_TRACES"
OFF, SECRETS, PERSONAL = "off", "secrets", "personal"
MODES = (OFF, SECRETS, PERSONAL)
#: Traces whose placeholders are remembered, so that spans that end later have the same.
_MAX_TRACES = 200
_FAILED = "[not redacted, so not kept]"
#: Attributes of MLflow's own, which it reads again.
_KEPT = ("mlflow.traceRequestId", "mlflow.spanType", "mlflow.trace.")


class TraceRedaction:
    """Redacts what this process sends to MLflow, by one setting for the whole process."""

    def __init__(self) -> None:
        self.mode = OFF
        self._lock = threading.Lock()
        self._installed = False
        self._redactor: Any = None
        self._known: "List[str]" = []
        self._placeholders: "OrderedDict[str, Any]" = OrderedDict()

    def set(self, mode: str) -> None:
        """Redact with this setting from now on. Raises GenOpsError for an unknown one."""
        if mode not in MODES:
            raise GenOpsError(
                f"{mode!r} is no setting of redaction.", f"%genops redaction set {'|'.join(MODES)}"
            )
        with self._lock:
            self.mode = mode
            self._redactor = None
        if mode != OFF and not self._installed:
            self._installed = True
            when_imported("mlflow.tracing.config", _process_spans)
            when_imported("mlflow.tracing.client", _wrap_client)
            when_imported("mlflow.entities.evaluation_dataset", _wrap_datasets)

    def redact(self, document: Any, trace_id: str = "") -> Any:
        """Return the document without what the setting takes out; the same placeholders within a trace."""
        if self.mode == OFF:
            return document
        from ..redaction.documents import Placeholders

        with self._lock:
            given = self._placeholders.setdefault(trace_id, Placeholders()) if trace_id else None
            if trace_id:
                self._placeholders.move_to_end(trace_id)
            while len(self._placeholders) > _MAX_TRACES:
                self._placeholders.popitem(last=False)
            return self._redactor_now().redact(document, given).document

    def _redactor_now(self) -> Any:
        # The values of secret-named variables change as cells run.
        from ..redaction.documents import DocumentRedactor
        from ..redaction.presidio import recognizer
        from .provenance import secret_values_now

        known = secret_values_now()
        if self._redactor is None or known != self._known:
            people = self.mode == PERSONAL
            self._known = known
            self._redactor = DocumentRedactor(
                known, people=people, recognize=recognizer() if people else None
            )
        return self._redactor


redaction = TraceRedaction()


def begin() -> None:
    """Redact as the Lab's setting says. Costs nothing while it is off, or until MLflow is imported."""
    mode = os.environ.get(MODE_VARIABLE, OFF) or OFF
    if mode not in MODES:
        print(f"GenOps: {MODE_VARIABLE} is {mode!r}; it is read as secrets.", file=sys.stderr)
        mode = SECRETS
    if mode != OFF:
        redaction.set(mode)


def redaction_command(arguments: List[str]) -> None:
    """Run ``%genops redaction show`` or ``%genops redaction set MODE``. Raises GenOpsError."""
    if arguments[:1] == ["set"] and len(arguments) == 2:
        redaction.set(arguments[1])
    elif arguments not in ([], ["show"]):
        raise GenOpsError("%genops redaction: wrong usage.", f"%genops redaction show|set {'|'.join(MODES)}")
    print(_said())


def _said() -> str:
    if redaction.mode == OFF:
        return "Traces and evaluation rows leave this kernel as they are."
    if redaction.mode == SECRETS:
        return "Secrets are taken out of traces and evaluation rows before they leave this kernel."
    from ..redaction.presidio import is_installed

    by = (
        "rules and Presidio"
        if is_installed()
        else "rules alone: names of people need the extra personal-data"
    )
    return (
        "Secrets and personal data are taken out of traces and evaluation rows before they leave this kernel "
        f"({by})."
    )


def redact_span(span: Any) -> None:
    """Redact a span of MLflow that ends. A span that cannot be redacted loses its content."""
    if redaction.mode == OFF:
        return
    try:
        _redact_attributes(span)
        _redact_events(span)
    except Exception as error:  # MLflow would send the span as it is
        print(
            f"GenOps: a span lost its content, because it could not be redacted: {type(error).__name__}",
            file=sys.stderr,
        )
        _empty(span)


def _redact_attributes(span: Any) -> None:
    # MLflow keeps each value as JSON. A value from OpenTelemetry may be any text.
    stored: Dict[str, Any] = dict(span._span.attributes or {})
    kept = {name: value for name, value in stored.items() if name.startswith(_KEPT)}
    found = redaction.redact(
        {name: value for name, value in stored.items() if name not in kept}, span.trace_id
    )
    for name, value in found.items():
        if stored.get(name) is not value:
            span._span.set_attribute(name, value)
    for name in stored:
        if name not in found and name not in kept:
            span._span._attributes.pop(name, None)
    name = redaction.redact(span.name, span.trace_id)
    if name != span.name:
        span._span.update_name(name)


def _redact_events(span: Any) -> None:
    """Redact errors: their message, their stack and the status."""
    for event in span._span._events:
        found = redaction.redact(dict(event.attributes or {}), span.trace_id)
        event._attributes = found
    status = span._span._status
    if status is not None and status.description:
        status._description = redaction.redact(status.description, span.trace_id)


def _empty(span: Any) -> None:
    for name in list(span._span._attributes):
        if not name.startswith(_KEPT):
            span._span.set_attribute(name, f'"{_FAILED}"')
    for event in span._span._events:
        event._attributes = {}
    if span._span._status is not None:
        span._span._status._description = None


def _process_spans(config: Any) -> None:
    """Have MLflow call :func:`redact_span` last, also after ``configure`` with functions of the user's."""
    kind = config.TracingConfig

    def current(self: Any) -> List[Callable[[Any], None]]:
        return [*self.__dict__.get("span_processors", []), redact_span]

    def change(self: Any, processors: Optional[List[Callable[[Any], None]]]) -> None:
        self.__dict__["span_processors"] = [each for each in processors or [] if each is not redact_span]

    kind.span_processors = property(current, change)
    if redact_span not in config.get_config().span_processors:
        raise GenOpsError(
            "This MLflow does not let spans be redacted.",
            "Set %genops redaction set off, or install mlflow 3.17.",
        )


def _wrap_client(module: Any) -> None:
    """Redact what is no span: tags and previews of a trace, assessments."""
    client = module.TracingClient
    _before(client, "start_trace", _redacted_info)
    _before(client, "set_trace_tags", lambda trace_id, tags: (trace_id, redaction.redact(tags, trace_id)))
    _before(
        client,
        "set_trace_tag",
        lambda trace_id, key, value: (trace_id, key, redaction.redact(value, trace_id)),
    )
    _before(client, "log_assessment", _redacted_assessment)
    _before(
        client,
        "update_assessment",
        lambda trace_id, assessment_id, assessment: (
            trace_id,
            assessment_id,
            _redacted_assessment(trace_id, assessment)[1],
        ),
    )


def _wrap_datasets(module: Any) -> None:
    _before(module.EvaluationDataset, "merge_records", lambda records: (redaction.redact(records),))


def _before(owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Change the arguments of a method before it is called, while redaction is on."""
    inner = getattr(owner, name)
    names = tuple(inspect.signature(inner).parameters)[1:]

    @functools.wraps(inner)
    def outer(self: Any, *given: Any, **named: Any) -> Any:
        if redaction.mode == OFF:
            return inner(self, *given, **named)
        ordered = [*given, *(named.pop(each) for each in names[len(given) :] if each in named)]
        return inner(self, *change(*ordered), **named)

    setattr(owner, name, outer)


def _redacted_info(info: Any) -> Any:
    changed = copy.copy(info)
    for field in ("tags", "trace_metadata", "request_preview", "response_preview"):
        setattr(changed, field, redaction.redact(getattr(info, field, None), info.trace_id))
    changed.assessments = [
        _redacted_assessment(info.trace_id, each)[1] for each in getattr(info, "assessments", None) or []
    ]
    return (changed,)


def _redacted_assessment(trace_id: str, assessment: Any) -> Any:
    changed = copy.copy(assessment)
    for field in ("rationale", "metadata"):
        setattr(changed, field, redaction.redact(getattr(assessment, field), trace_id))
    for field in ("feedback", "expectation"):
        held = getattr(assessment, field, None)
        if held is not None:
            held = copy.copy(held)
            held.value = redaction.redact(held.value, trace_id)
            if getattr(held, "error", None) is not None:
                held.error = copy.copy(held.error)
                held.error.error_message = redaction.redact(held.error.error_message, trace_id)
                held.error.stack_trace = redaction.redact(held.error.stack_trace, trace_id)
            setattr(changed, field, held)
    return trace_id, changed
