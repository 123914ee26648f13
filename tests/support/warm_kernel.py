"""An ipykernel in a fork of a process that has imported it (:func:`tests.support.warm.kernels`)."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the kernel as ``python -m ipykernel_launcher`` does."""
    from ipykernel import kernelapp

    # It ends with the process that forked it; its starter's end is seen by the connection to it.
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    del sys.path[0]  # the checkout
    kernelapp.launch_new_instance(sys.argv[1:])
