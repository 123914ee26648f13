"""Read ``gates.yaml``; an error names the line, the column and what was probably meant."""

from __future__ import annotations

import hashlib
from typing import get_args

from genops_lab.core.yaml_files import MAX_BYTES, YamlFileError, YamlKind

from .plan import AnyRule, Gates, Measure, Metric

__all__ = ["MAX_BYTES", "GateFileError", "blob_hash", "read_gates"]


class GateFileError(YamlFileError):
    """A gate file cannot be used. ``details`` has the line and the column, from 1."""

    code = "gate_file"


_FILE = YamlKind(
    content=Gates,
    error=GateFileError,
    example="An example: genops gates init --print",
    fewer="Use fewer rules.",
    words={
        "kind": ("Gates",),
        "rule": tuple(str(each.__struct_config__.tag) for each in get_args(AnyRule)),
        "metric": get_args(Metric),
        "metrics": get_args(Metric),
        "measure": get_args(Measure),
        "fixed_before": ("compared", "required"),
    },
)


def blob_hash(content: bytes) -> str:
    r"""Return the hash that git gives to a text file; line ends of Windows count as those of Unix.

    >>> blob_hash(b"kind: Gates\n")
    '8eb77a40502622cfb1dfff51cb2fde41d2b65be7'
    """
    content = content.replace(b"\r\n", b"\n")
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_gates(text: str, name: str = "gates.yaml") -> Gates:
    """Return the gates of a file's text. ``name`` stands in errors. Raises GateFileError.

    Aliases and merge keys are refused: a kilobyte of them stands for any number of nodes.
    """
    return _FILE.read(text, name)
