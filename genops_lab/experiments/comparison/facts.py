"""Where and with what a run ran, as names and values."""

from __future__ import annotations

from collections import Counter

from .gathered import Gathered

TARGET_TAG = "genops.target"


def facts_of(run: Gathered) -> dict[str, str]:
    """What is known of it, in the order in which it is shown. Names are stable: views translate them."""
    record = run.kept.record if run.kept is not None else None
    facts = {
        "experiment": run.experiment,
        "status": run.status,
        "user": run.user,
        "source": record.script if record is not None and record.script else run.source,
        "target": run.tags.get(TARGET_TAG, ""),
        "commit": run.git_commit,
    }
    if record is not None:
        environment, git = record.environment, record.git
        lock = environment.lock_file
        names = Counter(gpu.name for gpu in record.gpus)
        facts |= {
            "branch": git.branch if git is not None else "",
            "host": record.host,
            "platform": record.platform,
            "gpus": ", ".join(f"{count} × {name}" if count > 1 else name for name, count in names.items()),
            "driver": ", ".join(dict.fromkeys(gpu.driver for gpu in record.gpus if gpu.driver)),
            "python": environment.python,
            "lock": f"{lock.name} {lock.sha256[:12]}" if lock is not None else "",
        }
    return {name: value for name, value in facts.items() if value}
