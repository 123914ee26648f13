"""The scoring process in a warm one: ``main`` of its folder, which it runs as ``python __main__.py spec.json`` else."""

from __future__ import annotations

import sys

from genops_lab.serving.scorer import process


def main() -> None:
    """Serve what the specification names."""
    sys.exit(process.main(sys.argv[1]))
