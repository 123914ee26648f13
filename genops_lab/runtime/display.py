"""Output under the present cell."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional


def shell() -> Any:
    """The IPython shell of this process; None in a plain script. Does not import IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def in_notebook() -> bool:
    """Whether a front end may be there that shows HTML and widgets: a kernel, not a terminal."""
    return hasattr(shell(), "kernel")


def show(bundle: Dict[str, Any], display_id: Optional[str] = None, *, update: bool = False) -> None:
    """Display a bundle of media types; with ``update`` in place of what ``display_id`` showed."""
    from IPython import display

    shown: Any = display.display
    if display_id is None:
        shown(bundle, raw=True)
    else:
        shown(bundle, raw=True, display_id=display_id, update=update)
