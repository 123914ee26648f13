"""Ask and score on the host of a target: :mod:`genops_lab.agent.run_evaluation` starts ``python -m`` of this module.

Standard input has the endpoints. Each line of standard output is an event as JSON: ``answers`` or ``scored`` with a
count, and at last ``done``, or ``failed`` with a hint. The results are in the folder.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from genops_lab.core.call_progress import CallCancelled, RunningCall
from genops_lab.core.errors import GenOpsError
from genops_lab.core.paths import private_dir
from genops_lab.genai.endpoints.endpoint import Endpoint

from .process import AnswersProcess

HostStage = Literal["ask", "score"]
#: The folder of the session that has the folder of the evaluation.
ROOT = "answers"


class HostSession(msgspec.Struct, frozen=True, kw_only=True):
    """The work of a command on a host: ``session.json``, without secrets.

    ``code`` is the digest of the Lab's code; ``interpreter`` runs ``module`` of it.
    """

    evaluation: str
    stages: list[HostStage]
    code: str
    interpreter: str
    module: str = __name__


class HostEndpoints(msgspec.Struct, frozen=True, kw_only=True):
    """The endpoints with their keys: those of models that answer, and those of judges."""

    answering: list[Endpoint]
    judges: list[Endpoint]


def main(folder: str) -> int:
    """Run the stages of a session. Return 0, or 1 after an error."""
    endpoints = msgspec.json.decode(sys.stdin.buffer.read(), type=HostEndpoints)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    session = msgspec.json.decode((Path(folder) / "session.json").read_bytes(), type=HostSession)
    process, id, stage = AnswersProcess(str(Path(folder) / ROOT)), session.evaluation, "answers"
    private_dir(Path(folder) / ROOT / id / "scores")
    answering = [_with_limits_in(folder, each) for each in endpoints.answering]
    judges = [_with_limits_in(folder, each) for each in endpoints.judges]
    running = RunningCall(lambda done: _say(**{stage: done}))

    def stop(_number: int, _frame: object) -> None:
        running.cancelled = True

    signal.signal(signal.SIGTERM, stop)
    try:
        with running.in_this_thread():
            if "ask" in session.stages:
                process.ask(id, answering, judges)
            stage = "scored"
            process.score(id, judges, "host")
    except CallCancelled:
        _say(failed="It was stopped there, or no JupyterLab was connected for a day.", hint=_resume(id))
        return 1
    except GenOpsError as error:
        _say(failed=error.message, hint=error.hint)
        return 1
    _say(done=True)
    return 0


def _with_limits_in(folder: str, endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose models share its limits here: those of the Lab are in a folder of the Lab's machine."""
    own = Path(folder, "limits", Path(endpoint.limits_folder).name) if endpoint.limits_folder else ""
    return msgspec.structs.replace(endpoint, limits_folder=str(own))


def _resume(id: str) -> str:
    return f"Go on with: genops evaluate resume {id}"


def _say(**event: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
