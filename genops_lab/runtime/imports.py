"""Notice when the user imports a module, without importing anything."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from typing import Any, Callable


class _Watcher(importlib.abc.MetaPathFinder):
    """Calls back when one module has been imported."""

    def __init__(self, name: str, heard: Callable[[Any], None]) -> None:
        self._name = name
        self._heard = heard

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find the watched module as the other finders do, with a loader that calls back."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                self._heard(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def when_imported(name: str, heard: Callable[[Any], None]) -> Callable[[], None]:
    """Call ``heard`` with a module now, or once it is imported. The returned function cancels that."""
    module = sys.modules.get(name)
    if module is not None:
        heard(module)
        return lambda: None
    watcher = _Watcher(name, heard)
    sys.meta_path.insert(0, watcher)

    def forget() -> None:
        if watcher in sys.meta_path:
            sys.meta_path.remove(watcher)

    return forget
