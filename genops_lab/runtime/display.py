"""Show output under the present cell."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional


def shell() -> Any:
    """Return the IPython shell of this process, or None in a plain script. Does not import IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def in_notebook() -> bool:
    """Return whether a front end may show HTML and widgets: in a kernel, not in a terminal."""
    return hasattr(shell(), "kernel")


def show(bundle: Dict[str, Any], display_id: Optional[str] = None, *, update: bool = False) -> None:
    """Display a bundle of media types; with ``update`` replace what ``display_id`` showed."""
    from IPython import display

    shown: Any = display.display
    if display_id is None:
        shown(bundle, raw=True)
    else:
        shown(bundle, raw=True, display_id=display_id, update=update)
