"""Commands of the measuring; see the package's docstring."""

from __future__ import annotations

import sys
from pathlib import Path

from .budgets import budgets, keep_budgets, what_does_not_add_up
from .figures import newest
from .order import keep_durations
from .unsteady import failed, files_to_try_again

ROOT = Path(__file__).resolve().parents[2]


def main(words: list[str]) -> str | None:
    """Run a command; return what went wrong."""
    if words == ["keep"]:
        run = newest(ROOT / ".cache" / "minutes")
        if run is None:
            return "No complete run is kept in .cache/minutes. Run `make test`."
        keep_durations(run)
        keep_budgets(run)
        return None
    if words == ["budgets"]:
        return "\n".join(what_does_not_add_up(budgets(), ROOT)) or None
    if words == ["try-again"]:
        print(*files_to_try_again(failed(ROOT / ".cache" / "minutes")), sep="\n")
        return None
    return "usage: python -m tests.minutes keep | budgets | try-again"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
