"""How ipykernel is started: so that it drops nothing, and as a spare.

Its iopub socket keeps ZMQ's default bound of 1,000 waiting messages and drops what comes beyond, however fast the
keeper takes them: on a busy host the kernel's own sending thread falls behind a cell that displays in a loop.
"""

from __future__ import annotations

import pkgutil
from typing import List, Optional

_MODULE = ["-m", "ipykernel_launcher"]

#: The bound is lifted for the first publishing socket, which is ipykernel's; the user's own are left alone.
_PROGRAM = """\
import runpy, sys
import zmq

class Once:
    whole = zmq.Context.socket

def socket(self, socket_type, *args, **kwargs):
    made = Once.whole(self, socket_type, *args, **kwargs)
    if socket_type in (zmq.PUB, zmq.XPUB):
        zmq.Context.socket = Once.whole
        made.setsockopt(zmq.SNDHWM, 0)
    return made

zmq.Context.socket = socket
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""

_AS_SPARE = """\
import sys, types
module = types.ModuleType("genops_spare")
exec(SOURCE, module.__dict__)
sys.modules["genops_spare"] = module
"""


def spare(argv: List[str]) -> Optional[List[str]]:
    """The command for a kernel that ``adopting`` can hand over; None for what is not ipykernel's usual command."""
    command = without_dropping(argv)
    if command == argv:
        return None
    source = pkgutil.get_data(__package__, "adopting.py")
    assert source is not None
    program = _AS_SPARE.replace("SOURCE", repr(source.decode("utf-8")))
    return [program + part if part == _PROGRAM else part for part in command]


def without_dropping(argv: List[str]) -> List[str]:
    """The command for a kernel; one that is not ipykernel's usual command stays as it is."""
    for index in range(1, len(argv) - 1):
        if argv[index : index + 2] == _MODULE:
            return [*argv[:index], "-c", _PROGRAM, *argv[index + 2 :]]
    return argv
