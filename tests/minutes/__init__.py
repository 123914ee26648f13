"""What the test run costs, by file: CPU of all its processes, and what it leaves behind.

    python -m tests.minutes keep       # the newest complete run's figures become durations.json and budgets.toml
    python -m tests.minutes budgets    # whether the budgets add up (`make lint` asks it)

Every run keeps its figures in ``.cache/minutes``. A fixture whose process serves several files names it, so that it
has a row of its own and is not taken for one that a file left behind:

    shared_process("the Lab of tests/ui", server.pid)
"""

from .processes import forked_process, shared_process

__all__ = ["forked_process", "shared_process"]
