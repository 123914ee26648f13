"""Answer each path: MLflow's own protocol, and the Open Inference Protocol beside it."""

from __future__ import annotations

import io
import json
import traceback
from typing import Any

from .answer import Answer, json_answer, refusal
from .batching import Batches
from .exact_input import ExactInput
from .inference_protocol import InferenceProtocol
from .prediction import Predictions
from .report import log

_NOT_FOUND = json_answer(404, {"detail": "Not Found"})


class Endpoints:
    """The paths of one model, with the answers of ``mlflow models serve``."""

    def __init__(self, model: Any, name: str, version: str, predictions: Predictions) -> None:
        from mlflow.version import VERSION

        self._predictions = predictions
        self._model = model
        self._exact = ExactInput(model)
        self._schema = model.metadata.get_input_schema()
        self._version = VERSION
        self._protocol = InferenceProtocol(model, name, version)

    def scores(self, method: str, path: str) -> bool:
        """Return whether a request asks for a prediction."""
        return method == "POST" and (path == "/invocations" or path.endswith("/infer"))

    def look(self, method: str, path: str) -> Answer:
        """Answer a request that asks for no prediction."""
        healthy = not self._predictions.hung
        if path.startswith("/v2"):
            return self._protocol.look(method, path, ready=healthy)
        found = {
            "/ping": Answer(200 if healthy else 503, b"\n"),
            "/health": Answer(200 if healthy else 503, b"\n"),
            "/version": Answer(200, self._version.encode()),
            "/invocations": None,
        }
        if path not in found:
            return _NOT_FOUND
        answer, allowed = found[path], "POST" if path == "/invocations" else "GET"
        if answer is None or method not in ("GET", "HEAD"):
            return json_answer(405, {"detail": "Method Not Allowed"}, [(b"allow", allowed.encode())])
        return answer

    async def score(self, path: str, body: bytes, content_type: str, within_s: float) -> Answer:
        """Answer a request for a prediction. Raises TimeoutError after ``within_s``."""
        if path == "/invocations":
            return await self._predictions.run(within_s, self._invocations, body, content_type)
        return await self._predictions.run(within_s, self._protocol.infer, path, body)

    def _invocations(self, body: bytes, content_type: str) -> Answer:
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server

        model = self._model
        try:
            data = self._exact.read(body, content_type)
            if data is not None:
                try:
                    predicted = self._exact.predict(data)
                except Exception as error:
                    model = _Failed(model, error)  # MLflow words the answer
                else:
                    return Answer(200, _written(predicted))
            found = scoring_server.invocations(  # type: ignore[no-untyped-call]
                body, content_type, model, self._schema
            )
        except MlflowException as error:
            status = error.get_http_status_code()  # type: ignore[no-untyped-call]
            return Answer(status, error.serialize_as_json().encode())  # type: ignore[no-untyped-call]
        except Exception as error:  # such as an answer that has no JSON form
            log(traceback.format_exc())
            text = f"Cannot answer the request: {type(error).__name__}: {error}. The log has the whole error."
            return refusal(500, "INTERNAL_ERROR", text)
        return Answer(found.status, found.response.encode(), found.mimetype)


class _Failed:
    """A model whose prediction has failed already."""

    def __init__(self, model: Any, error: Exception) -> None:
        self.metadata = model.metadata
        self._error = error

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Raise what the model raised."""
        raise self._error


def _written(predicted: Any) -> bytes:
    """Return the body of an answer, as ``predictions_to_json`` of MLflow writes it."""
    import numpy as np

    if type(predicted) is np.ndarray and predicted.dtype.kind in "biuf":
        return json.dumps({"predictions": predicted.tolist()}).encode()
    from mlflow.pyfunc import scoring_server

    text = io.StringIO()
    scoring_server.predictions_to_json(predicted, text)  # type: ignore[no-untyped-call]
    return text.getvalue().encode()


def endpoints(model: Any, spec: dict[str, Any], predictions: Predictions) -> Endpoints:
    """Return the paths of a model with the settings of ``spec.json``."""
    rows = int(spec.get("batch_rows") or 0)
    batched = (
        Batches(model, rows, float(spec.get("batch_wait_ms") or 0) / 1000).model() if rows > 1 else model
    )
    return Endpoints(batched, str(spec.get("name", "model")), str(spec.get("version", "1")), predictions)
