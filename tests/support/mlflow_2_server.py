"""A real MLflow server that answers 404 where MLflow 2 does: it knows no logged models.

Run by a warm process with a port and MLflow's own ``_MLFLOW_SERVER_*`` variables. It stands in for an installed
MLflow 2, which the exhaustive tests use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

_UNKNOWN = "/logged-models"


def main() -> None:
    """Serve until the process ends."""
    from mlflow.server import app
    from werkzeug.serving import run_simple

    def of_mlflow_2(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if _UNKNOWN in environ["PATH_INFO"]:
            start_response("404 Not Found", [("Content-Type", "text/html")])
            return [b"<!doctype html><title>404 Not Found</title>"]
        return app(environ, start_response)

    run_simple("127.0.0.1", int(sys.argv[1]), of_mlflow_2, threaded=True)


if __name__ == "__main__":
    main()
