"""Track ipywidgets' Output widgets: outputs that a widget takes do not appear in the cell."""

from __future__ import annotations

from .messages import Message

_MAX_BYTES = 1_000_000


class OutputWidgets:
    """The Output widgets of a kernel, by their comms, and the requests whose outputs they take now."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}

    def take(self, msg_id: str) -> bool:
        """Return whether the outputs of this request go into a widget."""
        return msg_id in self._taken.values()

    def clear(self) -> None:
        """Reset for another kernel."""
        self._taken.clear()

    def comm(self, message: Message) -> None:
        """Handle a comm's message. A large one cannot change which outputs a widget takes, and is not read."""
        if len(message.raw_content) > _MAX_BYTES:
            return
        content = message.content
        comm_id = str(content.get("comm_id", ""))
        data = content.get("data")
        state = data.get("state") if isinstance(data, dict) else None
        if message.msg_type == "comm_close":
            self._taken.pop(comm_id, None)
        elif isinstance(state, dict) and (
            comm_id in self._taken
            or (message.msg_type == "comm_open" and state.get("_model_name") == "OutputModel")
        ):
            self._taken[comm_id] = str(state.get("msg_id", self._taken.get(comm_id, "")))
