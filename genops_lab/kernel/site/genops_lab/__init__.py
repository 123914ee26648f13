"""Stands in for the package in kernels of environments that do not have it.

The Lab puts this file's parent folder on the path of such kernels. Where a whole ``genops_lab`` comes later
on the path, this one gives way to it. Otherwise it offers the kernel side alone, from the Lab's own copy,
and nothing else of the Lab's environment becomes importable.
"""

import importlib.util
import os
import sys
from typing import Any

_SITE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _whole_package() -> Any:
    """The spec of an installed genops_lab: one that holds the kernel side itself, as no stand-in does."""
    elsewhere = [path for path in sys.path if os.path.realpath(path or os.curdir) != os.path.realpath(_SITE)]
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find("genops_lab", elsewhere) if find else None
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if os.path.isfile(os.path.join(folder, "kernel", "__init__.py")):
                return spec
    return None


def _load(spec: Any) -> Any:
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _load_part(name: str) -> Any:
    folder = os.path.join(os.path.dirname(os.path.dirname(_SITE)), name)
    return _load(
        importlib.util.spec_from_file_location(
            "genops_lab." + name,
            os.path.join(folder, "__init__.py"),
            submodule_search_locations=[folder],
        )
    )


_whole = _whole_package()
if _whole is not None:
    _load(_whole)
else:
    redaction = _load_part("redaction")
    runtime = _load_part("runtime")
    kernel = _load_part("kernel")
    load_ipython_extension = runtime.load_ipython_extension
    unload_ipython_extension = runtime.unload_ipython_extension
