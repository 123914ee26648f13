"""A live view in a cell's output: a widget while something happens, a picture that needs no kernel at the end."""

from __future__ import annotations

import uuid
from typing import Any, Callable, Dict, Mapping, Optional

from .display import show
from .widget import VIEW_MIME, Widget, script

#: What GenOps Lab's front end draws in place of the widget: it outlives a reload of the page (``src/runtime/cards``).
CARD_MIME = "application/vnd.genops.card+json"

Form = Callable[[Mapping[str, Any]], str]


class LiveView:
    """Shows ``state`` as a widget, or as ``html`` where there is none. May be used from any thread."""

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
        """Show it in the output of the cell that is executing.

        Apart from the constructor, so that an interrupt finds a view that can be finished.
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
        except ImportError:  # an ipykernel from before the comm package: the HTML form it is
            return None

    @property
    def has_widget(self) -> bool:
        """Whether an update is cheap."""
        return self._widget is not None

    def _picture(self, state: Mapping[str, Any]) -> Dict[str, Any]:
        return {"text/html": self._html(state), "text/plain": self._text(state)}

    def update(self, state: Dict[str, Any]) -> None:
        """Show what changed."""
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
        """Leave the picture of ``state``, or the given bundle, in place of the live view.

        A page that was loaded since it was opened does not know which output to replace: without ``close`` it goes on
        showing the view, at its end, as long as the kernel lives.
        """
        show(bundle or self._picture(state), self._display_id, update=True)
        if self._widget is not None:
            self._widget.update(state)
            if close:
                self._widget.close()
