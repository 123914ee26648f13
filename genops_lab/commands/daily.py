"""What is said once a day: a remark under each answer is read by nobody."""

from __future__ import annotations

import contextlib
import time

DAY_S = 86_400.0


def is_due(code: str) -> bool:
    """Whether what has this code was not said in the last day; it counts as said from now on."""
    from genops_lab.core.errors import Failed
    from genops_lab.core.paths import data_dir, private_dir

    # What cannot be noted is said again.
    with contextlib.suppress(OSError, Failed):
        said = private_dir(data_dir() / "said") / code
        if said.exists() and 0 <= time.time() - said.stat().st_mtime < DAY_S:
            return False
        said.touch()
    return True
