"""Pass a question of the system's ssh to the Lab, and print the answer.

Standard library only, run by its path. The Lab's socket is in a folder that only this user may enter.
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main() -> int:
    """Return the exit code: 1 without an answer."""
    prompt = sys.argv[1] if len(sys.argv) > 1 else ""
    sort = os.environ.get("SSH_ASKPASS_PROMPT", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(os.environ["GENOPS_ASKPASS"])
        connection.sendall(json.dumps({"prompt": prompt, "sort": sort}).encode() + b"\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    if not answer:
        return 1
    sys.stdout.write(json.loads(answer)["text"] + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
