"""Send what ended processes of this kernel left: ``python -m genops_lab.runtime.drain FILE ...``.

The files are spools and predictions.

The agent on a kernel's host starts this program while the Lab is connected. A file is deleted when all of it
is safe. A file that the Lab refuses for good is renamed to ``.broken``. The exit code is 1 if events are
left.
"""

from __future__ import annotations

import json
import os
import sys
from typing import List

from . import kept_predictions
from .sender import Sender
from .spool import Spool

WAIT_S = 24 * 3600.0


def drain(path: str) -> bool:
    """Send a spool and return whether it is finished. Its parent, or the run it continues, is sent first.

    The file may also be one of predictions.
    """
    if path.endswith(kept_predictions.SUFFIX):
        reason = kept_predictions.try_to_send(path) if os.path.exists(path) else ""
        if reason:
            print(f"{os.path.basename(path)} is set aside: {reason}", file=sys.stderr)
        return reason is not None
    before = _before(path)
    if before and os.path.exists(before) and not drain(before):
        return False
    try:
        spool, header = Spool.left_behind(path)
    except FileNotFoundError:
        return True  # another process was faster
    except (OSError, ValueError) as error:
        return _set_aside(path, str(error))
    sender = Sender(header["run_key"], header["process"], spool, lambda _ack, _trouble: None)
    if sender.finish(WAIT_S):
        return True
    return sender.refused and _set_aside(path, sender.trouble)


def _before(path: str) -> str:
    """Return the spool file that must be sent before this one, or an empty text."""
    try:
        with open(path, "rb") as stream:
            stream.readline()
            start = json.loads(stream.readline())
        named = start["data"].get("parent") or (start["data"].get("resume") or {}).get("run_key")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""  # sending the file will show what is wrong with it
    if not isinstance(named, str) or not named.isalnum() or named == os.path.basename(path)[: -len(".jsonl")]:
        return ""
    return os.path.join(os.path.dirname(path), f"{named}.jsonl")


def _set_aside(path: str, reason: str) -> bool:
    print(f"{os.path.basename(path)} is set aside: {reason}", file=sys.stderr)
    try:
        os.replace(path, os.path.splitext(path)[0] + ".broken")
    except OSError as error:
        print(f"{path}: {error}", file=sys.stderr)
        return False
    return True


def main(paths: List[str]) -> int:
    """Send the spools; return the exit code."""
    done = [drain(path) for path in paths]
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
