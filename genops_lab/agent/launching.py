"""Compose ipykernel's command: so that it drops nothing and sends in pieces (see ``publishing``), and as a
spare."""

from __future__ import annotations

import pkgutil
from typing import List, Optional

_MODULE = ["-m", "ipykernel_launcher"]


def _source(name: str) -> str:
    """Return a module of this package as a literal."""
    package = __name__.rpartition(".")[0]  # Python 3.8 has no __package__ while it imports from a zip
    source = pkgutil.get_data(package, name)
    assert source is not None
    return repr(source.decode("utf-8"))


#: The kernel's folder is not on the module path before ipykernel is imported: its ``random.py`` would be
#: imported.
_PROGRAM = f"""\
import sys
if sys.path[0] == "":
    del sys.path[0]
publishing = {{"__name__": "genops_publishing"}}
exec({_source("publishing.py")}, publishing)
publishing["start"]()
"""

_AS_SPARE = """\
import sys, types
module = types.ModuleType("genops_spare")
exec(SOURCE, module.__dict__)
sys.modules["genops_spare"] = module
"""


def spare(argv: List[str]) -> Optional[List[str]]:
    """Return the command for a kernel that ``activation`` can turn into another; None for a command that is
    not ipykernel's usual one."""
    command = without_dropping(argv)
    if command == argv:
        return None
    program = _AS_SPARE.replace("SOURCE", _source("activation.py"))
    return [program + part if part == _PROGRAM else part for part in command]


def without_dropping(argv: List[str]) -> List[str]:
    """Return the command for a kernel; one that is not ipykernel's usual command stays as it is."""
    for index in range(1, len(argv) - 1):
        if argv[index : index + 2] == _MODULE:
            return [*argv[:index], "-c", _PROGRAM, *argv[index + 2 :]]
    return argv
