"""List the code of GenOps Lab that travels to a host with a model: its scoring process and the gateway."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from genops_lab.hosts.link.placed_files import SentFile, sent_file

from . import local

_PACKAGE = Path(__file__).resolve().parents[2]
#: The scoring process. Folders have all their modules beside them, as here.
SCORER = "serving/scorer/__main__.py"
#: The process of a revision that an engine or a command serves.
ENGINE = "serving/engines/serve.py"
_PARTS = ("serving", "statistics/streams.py")
#: Packages whose own file stays here: it has modules and requirements that a host has not.
_EMPTY = ("", "statistics/")
_MAIN = Path(__file__).with_name("host_main.py")


class HostCode(NamedTuple):
    """The files below ``code`` on the host, and the name of this state of them."""

    files: list[SentFile]
    digest: str


def host_code() -> HostCode:
    """Return the code with its digest. Blocks."""
    found = [sent_file("code/__main__.py", _MAIN)]
    empty = _PACKAGE / "serving" / "__init__.py"
    found += [sent_file(f"code/genops_lab/{each}__init__.py", empty) for each in _EMPTY]
    for part in _PARTS:
        path = _PACKAGE / part
        for each in [path] if path.is_file() else sorted(path.rglob("*.py")):
            name = each.relative_to(_PACKAGE).as_posix()
            found.append(sent_file(f"code/genops_lab/{name}", local.SERVER if name == SCORER else each))
    content = "\n".join(f"{each.path} {each.sha}" for each in found)
    return HostCode(found, hashlib.sha256(content.encode()).hexdigest()[:16])
