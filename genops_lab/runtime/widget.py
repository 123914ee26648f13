"""A live view in the notebook: anywidget's protocol over ``comm`` alone.

The front-end code travels with the message, so neither ipywidgets nor anywidget is needed in the kernel's
environment; the front end has them from the Lab's.
"""

from __future__ import annotations

import pathlib
from typing import Any, Callable, Dict, Optional

PROTOCOL_VERSION = "2.1.0"
#: Any anywidget of the front end will do: `model.get`, `model.on` and `render` are the same in all.
MODULE_VERSION = "*"
VIEW_MIME = "application/vnd.jupyter.widget-view+json"

_SCRIPTS = pathlib.Path(__file__).with_name("static")


def script(view: str) -> Optional[str]:
    """The front-end code of the view ``run``, ``profile``, ``deployment`` or ``sweep``.

    None in a checkout whose front end was never built.
    """
    try:
        return (_SCRIPTS / f"{view}.js").read_text(encoding="utf-8")
    except OSError:
        return None


#: Small fields that change seldom.
_SENT_AGAIN = ("diverged", "params")


class Widget:
    """State that the front end shows; ``asked`` hears what its buttons send. Any thread may call ``update``."""

    def __init__(
        self, view: str, code: str, state: Dict[str, Any], asked: Optional[Callable[[Any], None]] = None
    ) -> None:
        from comm import create_comm

        self._asked = asked
        self._state: Dict[str, Any] = {
            "_model_module": "anywidget",
            "_model_name": "AnyModel",
            "_model_module_version": MODULE_VERSION,
            "_view_module": "anywidget",
            "_view_name": "AnyView",
            "_view_module_version": MODULE_VERSION,
            "_view_count": None,
            "_anywidget_id": f"genops_lab.kernel.{view}",
            "_esm": code,
            **state,
        }
        self._open = True
        self._comm = create_comm(
            target_name="jupyter.widget",
            data={"state": self._state, "buffer_paths": []},
            metadata={"version": PROTOCOL_VERSION},
        )
        self._comm.on_msg(self._answer)
        self._comm.on_close(self._closed)

    def _answer(self, message: Dict[str, Any]) -> None:
        method = message.get("content", {}).get("data", {}).get("method")
        if method == "request_state":
            self._send(self._state)
        elif method == "custom" and self._asked is not None:
            self._asked(message["content"]["data"].get("content"))

    def _closed(self, _message: Any) -> None:
        self._open = False

    def _send(self, state: Dict[str, Any]) -> None:
        if self._open:
            self._comm.send({"method": "update", "state": state, "buffer_paths": []})

    def update(self, state: Dict[str, Any]) -> None:
        """Send what changed, and what a page that was loaded meanwhile has not heard of and would miss."""
        changed = {name: value for name, value in state.items() if self._state.get(name) != value}
        if changed:
            self._state.update(changed)
            self._send({**{name: state[name] for name in _SENT_AGAIN if name in state}, **changed})

    @property
    def comm_id(self) -> str:
        """The comm over which the state comes."""
        return str(self._comm.comm_id)

    def view(self) -> Dict[str, Any]:
        """What a display bundle holds under ``VIEW_MIME``."""
        return {"version_major": 2, "version_minor": 0, "model_id": self.comm_id}

    def close(self) -> None:
        """The front end forgets the view."""
        if self._open:
            self._open = False
            self._comm.close()
