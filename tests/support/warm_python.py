"""``python -c CODE ARGUMENT ...`` in a warm process (:func:`tests.support.warm.script`)."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the code that the first argument is."""
    code = sys.argv[1]
    sys.argv[:2] = ["-c"]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
