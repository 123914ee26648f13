"""The tags of evaluations in MLflow: on the run of an evaluation, and on its version.

MLflow allows no ``@`` in a tag's name. So the tag of a version that names its newest evaluation on a data set is
``genops.evaluation.<name>:<digest>``, and characters of the name that MLflow refuses become ``_``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "genops.evaluation."
#: On the run.
MODEL: Final = "genops.evaluation.model"
VERSION: Final = "genops.evaluation.version"
DATA: Final = "genops.evaluation.data"
DIGEST: Final = "genops.evaluation.digest"
SESSION: Final = "genops.evaluation.session"
#: "evaluate", or "logged" for predictions that a person computed.
HOW: Final = "genops.evaluation.how"
#: The target whose host predicted; missing: the Lab's machine.
PLACE: Final = "genops.evaluation.place"
#: On the run that keeps the data set's file: the path of the artifact.
FILE: Final = "genops.evaluation.file"

_REFUSED = re.compile(r"[^\w.\- ]")
_MOST = 250


def version_tag(data: str, digest: str) -> str:
    """Return the tag of a version that has the run of its newest evaluation on a data set.

    >>> version_tag("hold(out).csv", "ab12")
    'genops.evaluation.hold_out_.csv:ab12'
    """
    end = f":{digest}"
    return f"{PREFIX}{_REFUSED.sub('_', data)[: _MOST - len(PREFIX) - len(end)]}{end}"


def newest(tags: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Return the run ids of a version's newest evaluations, by name (as the tag has it) and digest of the data.

    >>> newest({"genops.evaluation.test.csv:ab12": "run1", "owner": "me"})
    {('test.csv', 'ab12'): 'run1'}
    """
    found = {}
    for tag, run_id in tags.items():
        if tag.startswith(PREFIX) and ":" in tag:
            name, _, digest = tag.removeprefix(PREFIX).rpartition(":")
            found[name, digest] = run_id
    return found
