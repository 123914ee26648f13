"""Hash the gate file at the start of a run, so that a later change of it is seen."""

from __future__ import annotations

import hashlib
import os
from typing import Dict

NAME = "gates.yaml"
TAG = "genops.gates.hash"
MAX_BYTES = 1_000_000


def gate_tags(folder: str, top: str) -> Dict[str, str]:
    """Return the hash that git gives to ``gates.yaml`` in ``folder``, else in ``top``; empty without the file.

    Line ends of Windows count as those of Unix, as git stores them.
    """
    for place in dict.fromkeys(each for each in (folder, top) if each):
        path = os.path.join(place, NAME)
        try:
            if not os.path.isfile(path) or os.path.getsize(path) > MAX_BYTES:
                continue
            with open(path, "rb") as stream:
                content = stream.read(MAX_BYTES).replace(b"\r\n", b"\n")
        except OSError:
            continue
        # As git does: it names content, and guards nothing.
        return {TAG: hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}  # noqa: S324
    return {}
