"""``python -m genops_lab.commands``: the same program where ``genops`` is not on the path."""

from .main import main

main()
