"""Notebooks that are edited together: jupyter-collaboration keeps such a document in a room and saves it itself."""

from __future__ import annotations

from typing import Any

EXTENSION = "jupyter_server_ydoc"


def collaborates(serverapp: Any) -> bool:
    """Whether jupyter-collaboration is on in this server."""
    return bool(_apps(serverapp))


def in_room(serverapp: Any, path: str) -> bool:
    """Whether a notebook is open in a room now. Then outputs are left to its pages: they merge and save."""
    files = serverapp.web_app.settings.get("file_id_manager")
    file_id = files.get_id(path) if files is not None else None
    if file_id is None:
        return False
    return any(
        str(room).rpartition(":")[2] == file_id
        for app in _apps(serverapp)
        for room in getattr(getattr(app, "ywebsocket_server", None), "rooms", ())
    )


def _apps(serverapp: Any) -> Any:
    return serverapp.extension_manager.extension_apps.get(EXTENSION, ())
