"""``python -m benchmarks [NAME ...]``: one JSON line a figure on standard output."""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Iterator

from . import (
    charts,
    compute,
    documents,
    evaluations,
    faults,
    front_end,
    gateway,
    hosts,
    kernel,
    lineage,
    llms,
    memory,
    neighbours,
    profile_capture,
    profile_timeline,
    profiles,
    queries,
    redaction,
    remote,
    rollouts,
    runs,
    runs_page,
    scoring,
    serving,
    setup,
    signatures,
    startup,
    statistics,
    traces,
    traces_page,
    versions,
    wake_ups,
)
from .figure import Figure

SUITES: dict[str, Callable[[], Iterator[Figure]]] = {
    "startup": startup.figures,
    "kernel": kernel.figures,
    "memory": memory.figures,
    "profile_capture": profile_capture.figures,
    "serving": serving.figures,
    "scoring": scoring.figures,
    "gateway": gateway.figures,
    "llms": llms.figures,
    "queries": queries.figures,
    "redaction": redaction.figures,
    "remote": remote.figures,
    "rollouts": rollouts.figures,
    "hosts": hosts.figures,
    "compute": compute.figures,
    "faults": faults.figures,
    "documents": documents.figures,
    "evaluations": evaluations.figures,
    "front_end": front_end.figures,
    "front_end_sizes": front_end.sizes,
    "neighbours": neighbours.figures,
    "runs": runs.figures,
    "runs_page": runs_page.figures,
    "charts": charts.figures,
    "profile_timeline": profile_timeline.figures,
    "profiles": profiles.figures,
    "setup": setup.figures,
    "signatures": signatures.figures,
    "statistics": statistics.figures,
    "versions": versions.figures,
    "traces": traces.figures,
    "traces_page": traces_page.figures,
    "lineage": lineage.figures,
    "wake_ups": wake_ups.figures,
}
#: They install much, take long, or are part of another: run when they are named.
ASKED_FOR = ("faults", "front_end_sizes", "neighbours", "profiles", "setup")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", help=f"which: {', '.join(SUITES)} ({', '.join(ASKED_FOR)} only when named)"
    )
    names = parser.parse_args().names or [name for name in SUITES if name not in ASKED_FOR]
    failed = False
    for name in names:
        try:
            for figure in SUITES[name]():
                print(json.dumps(figure.line(), ensure_ascii=False), flush=True)
        except Exception:  # one suite that fails must not hide the figures of the others
            failed = True
            print(f"the suite {name} failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
