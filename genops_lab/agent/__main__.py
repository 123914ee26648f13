"""Run ``python -m genops_lab.agent COMMAND``, or the same from the uploaded zip; the usage below has the commands."""

from __future__ import annotations

import sys
from typing import List


def main(arguments: List[str]) -> int:
    """Run the command; return the exit code."""
    command = arguments[0] if arguments else ""
    if command == "attach":
        from .attach import main as attach

        return attach()
    if command == "keep" and len(arguments) > 1:
        from .keep import main as keep

        return keep(arguments[1:])
    if command == "build":
        from .build import main as build

        return build()
    if command == "evaluate" and len(arguments) > 1:
        from .evaluate import main as evaluate

        return evaluate(arguments[1])
    if command == "answers" and len(arguments) > 1:
        from .run_evaluation import main as answers

        return answers(arguments[1])
    if command == "score" and len(arguments) > 2:
        from .score import main as score

        return score(arguments[1], arguments[2])
    if command == "probe":
        import json

        from .probe import probe

        print(json.dumps(probe(), indent=2))
        return 0
    print(
        "usage: agent attach | keep [--foreground] FOLDER | build | evaluate FOLDER | answers FOLDER | "
        "score FOLDER SCORER | probe",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
