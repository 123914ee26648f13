"""The scoring process in a warm one: ``main`` of its file, which it runs as ``python server.py spec.json`` else."""

from __future__ import annotations

import sys

from genops_lab.deployments import server


def main() -> None:
    """Serve what the specification names."""
    sys.exit(server.main(sys.argv[1]))
