"""A kernel that Nsight's tools measure, as the provisioner starts it, which all tests of a file profile in."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from genops_lab.kernels.nsight.launch import Start
from tests.support.homes import Home

from .kernels import RunningKernel, running_kernel
from .stand_in import LabStandIn, lab_stand_in


@contextmanager
def kernel_under(start: Start, home: Home, code: str = "") -> Iterator[tuple[RunningKernel, LabStandIn]]:
    """The kernel, with the extension loaded and ``code`` run, and the Lab that it finds."""
    with lab_stand_in(home.path / "s") as lab:
        env = home.environment(GENOPS_SOCKET=str(lab.path), **start.variables)
        with running_kernel(sys.executable, env, home.work, start.command) as kernel:
            kernel.ok("%load_ext genops_lab" + code)
            yield kernel, lab


def without_profiles(home: Home) -> Home:
    """The home, without the profiles of the test before."""
    for profile in (home.data / "profiles").glob("*"):
        shutil.rmtree(profile)
    return home
