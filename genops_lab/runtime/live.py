"""Show a live view in a cell's output: a widget while a run goes on, at the end a picture that needs no
kernel.
"""

from __future__ import annotations

import pathlib
import uuid
from typing import Any, Callable, Dict, Mapping, Optional

from .display import show

#: GenOps Lab's front end draws this in place of the widget: it survives a reload (``src/runtime/cards``).
CARD_MIME = "application/vnd.genops.card+json"

Form = Callable[[Mapping[str, Any]], str]

PROTOCOL_VERSION = "2.1.0"
#: Any version of anywidget in the front end works: `model.get`, `model.on` and `render` are the same in all.
MODULE_VERSION = "*"
VIEW_MIME = "application/vnd.jupyter.widget-view+json"

_SCRIPTS = pathlib.Path(__file__).with_name("static")


class LiveView:
    """Shows ``state`` as a widget, or as ``html`` without one. All threads may use it."""

    def __init__(
        self,
        view: str,
        state: Dict[str, Any],
        html: Form,
        text: Form,
        asked: Optional[Callable[[Any], None]] = None,
    ) -> None:
        self._display_id = uuid.uuid4().hex
        self._name = view
        self._html = html
        self._text = text
        self._shown = state
        self._widget = self._make_widget(view, state, asked)

    def open(self) -> None:
        """Show the view in the output of the executing cell.

        This is not in the constructor, so that an interrupt finds a view that can be finished.
        """
        bundle: Dict[str, Any] = self._picture(self._shown)
        if self._widget is not None:
            bundle[VIEW_MIME] = self._widget.view()
            bundle[CARD_MIME] = {
                "view": self._name,
                "comm_id": self._widget.comm_id,
                "display_id": self._display_id,
                "state": self._shown,
            }
        show(bundle, self._display_id)

    @staticmethod
    def _make_widget(
        view: str, state: Dict[str, Any], asked: Optional[Callable[[Any], None]]
    ) -> Optional[Widget]:
        code = script(view)
        if code is None:
            return None
        try:
            return Widget(view, code, state, asked)
        except ImportError:  # an ipykernel older than the comm package: show HTML
            return None

    @property
    def has_widget(self) -> bool:
        """Return whether an update is cheap."""
        return self._widget is not None

    def _picture(self, state: Mapping[str, Any]) -> Dict[str, Any]:
        return {"text/html": self._html(state), "text/plain": self._text(state)}

    def update(self, state: Dict[str, Any]) -> None:
        """Show the changed fields."""
        if state == self._shown:
            return
        self._shown = state
        if self._widget is not None:
            self._widget.update(state)
        else:
            show(self._picture(state), self._display_id, update=True)

    def finish(
        self, state: Dict[str, Any], bundle: Optional[Dict[str, Any]] = None, *, close: bool = True
    ) -> None:
        """Replace the live view by the picture of ``state``, or by the given bundle.

        A page that was loaded after the view opened does not know which output to replace. Without ``close``
        such a page keeps showing the view, in its end state, while the kernel lives.
        """
        show(bundle or self._picture(state), self._display_id, update=True)
        if self._widget is not None:
            self._widget.update(state)
            if close:
                self._widget.close()


def script(view: str) -> Optional[str]:
    """Return the front-end code of the view ``run``, ``profile``, ``deployment`` or ``sweep``.

    None in a checkout whose front end was never built.
    """
    try:
        return (_SCRIPTS / f"{view}.js").read_text(encoding="utf-8")
    except OSError:
        return None


#: Small fields that change seldom.
_SENT_AGAIN = ("diverged", "params")


class Widget:
    """Sends state to the front end; ``asked`` gets what its buttons send. All threads may call ``update``."""

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
        """Send the changed fields, and the fields that a newly loaded page lacks."""
        changed = {name: value for name, value in state.items() if self._state.get(name) != value}
        if changed:
            self._state.update(changed)
            self._send({**{name: state[name] for name in _SENT_AGAIN if name in state}, **changed})

    @property
    def comm_id(self) -> str:
        """The id of the comm that carries the state."""
        return str(self._comm.comm_id)

    def view(self) -> Dict[str, Any]:
        """Return the content of ``VIEW_MIME`` in a display bundle."""
        return {"version_major": 2, "version_minor": 0, "model_id": self.comm_id}

    def close(self) -> None:
        """Close the comm; the front end drops the view."""
        if self._open:
            self._open = False
            self._comm.close()
