"""Code for a kernel that has ended without having been asked to.

JupyterLab keeps its connection to such a kernel, for a restart needs it, and sends it code, which would wait without a
word and run in the next kernel. It is refused at the page's connection: what others hear of the kernel stays as it is.
"""

from __future__ import annotations

import json
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1

#: The name of the error that the page offers a restart for; its value is the reason.
ERROR = "KernelEnded"


def words(bridge: Any) -> str:
    """How the kernel of a bridge ended, for people; empty while it has not, or is being restarted or stopped."""
    if bridge is None or bridge.state.state != "ended" or bridge.expected_end:
        return ""
    if bridge.ended_by:
        return str(bridge.state.reason)
    return f"The kernel has ended. {bridge.state.reason}".strip()


def cell_of(ws_message: str | bytes, protocol: str | None) -> dict[str, Any]:
    """The header of a page's request to run code; empty for every other message, and for what is none."""
    try:
        if protocol == "v1.kernel.websocket.jupyter.org":
            _channel, parts = deserialize_msg_from_ws_v1(ws_message)  # type: ignore[no-untyped-call]
            header = json.loads(parts[0])
        else:
            header = json.loads(ws_message)["header"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    is_code = isinstance(header, dict) and header.get("msg_type") == "execute_request"
    return header if is_code else {}


def refusal(why: str) -> list[tuple[str, str, dict[str, Any]]]:
    """What a page gets for code that is not run: channels, types and contents of messages."""
    text = f"{why} This cell was not run: restart the kernel, then run it again."
    return [
        ("iopub", "status", {"execution_state": "busy"}),
        ("iopub", "stream", {"name": "stderr", "text": f"{text}\n"}),
        ("shell", "execute_reply", {"status": "error", "ename": ERROR, "evalue": why, "traceback": []}),
        ("iopub", "status", {"execution_state": "idle"}),
    ]
