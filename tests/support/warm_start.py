"""Hand this process's files, environment and arguments to the warm process, and end as the fork does.

The files are the first three, and those that were passed on to this process besides.
"""

import array
import json
import os
import signal
import socket
import struct
import sys


def is_inheritable(file):
    try:
        return os.get_inheritable(file)
    except OSError:  # that of the folder that was just listed
        return False


def main(address, *arguments):
    passed = [file for file in map(int, os.listdir("/proc/self/fd")) if file > 2 and is_inheritable(file)]
    files = array.array("i", [0, 1, 2, *passed])
    given = {
        "arguments": arguments,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "places": list(files),
    }
    payload = json.dumps(given).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        connection.sendmsg([struct.pack(">I", len(payload))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(payload)
        # The ends of pipes are the fork's alone: whoever reads sees them end with it.
        nothing = os.open(os.devnull, os.O_RDWR)
        for file in files:
            os.dup2(nothing, file) if file < 3 else os.close(file)
        (fork,) = struct.unpack(">i", connection.recv(4))
        for sign in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sign, lambda sign, _frame: os.kill(fork, sign))
        status = connection.recv(4)
    (code,) = struct.unpack(">i", status) if len(status) == 4 else (-signal.SIGKILL,)
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


main(*sys.argv[1:])
