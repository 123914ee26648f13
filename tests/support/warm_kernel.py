"""An ipykernel in a fork of a process that has imported it (:func:`tests.support.warm.forked_kernels`), or MLflow and
scikit-learn (``warm.SCORING``)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the kernel as ``python -m ipykernel_launcher`` does."""
    from ipykernel import kernelapp

    # It ends with the process that forked it; its starter's end is seen by the connection to it.
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    sys.path[:1] = filter(
        None, os.environ.get("PYTHONPATH", "").split(os.pathsep)
    )  # the checkout is not on it
    kernelapp.launch_new_instance(sys.argv[sys.argv.index("-f") :])
