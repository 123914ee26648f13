"""Modules out of the zip, also where two threads import one at the same time.

Before Python 3.10 zipimport has only ``load_module``, and the import system does not mark a module that comes
by it as being initialised: a second thread that imports it meanwhile gets it half filled, in place of waiting
for it ("cannot import name ..."). With ``exec_module`` the import system itself does what is needed.
"""

from __future__ import annotations

import sys
import zipimport
from importlib.abc import InspectLoader


class ZipModules(zipimport.zipimporter, InspectLoader):
    """A zipimporter that has ``create_module`` and ``exec_module``, from InspectLoader."""


def install() -> None:
    """From now on. What was imported before stays."""
    sys.path_hooks.insert(0, ZipModules)
    sys.path_importer_cache.clear()
