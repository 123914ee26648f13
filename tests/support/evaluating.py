"""The process of an evaluation in a warm one: ``main`` of ``runner.py``, which runs as a plain file else."""

from __future__ import annotations

import sys

from genops_lab.evaluations import runner


def main() -> None:
    """Predict what the specification names."""
    sys.exit(runner.main(sys.argv[1]))
