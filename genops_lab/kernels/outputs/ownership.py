"""Who owns Jupyter's managers here, and what GenOps Lab leaves alone because of that."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

from .websocket import SETTING, LosslessConnection

#: Extensions that keep outputs and documents on the server themselves.
KEEPS_DOCUMENTS = "jupyter_server_documents"
#: One that runs the cells of notebooks itself, in the server, and does not tell the kernel which cell it is.
RUNS_CELLS = "jupyter_server_nbmodel"

EXTENSION = "jupyter_server_ydoc"


def keeps_kernels(serverapp: Any) -> bool:
    """Whether this server has its kernels itself; one with a gateway has them there."""
    manager = serverapp.kernel_manager
    return isinstance(manager, MappingKernelManager) and not serverapp.gateway_config.gateway_enabled


def writes_documents(serverapp: Any) -> bool:
    """Whether outputs without a page may be written into documents on disk."""
    return not serverapp.extension_manager.extension_apps.get(KEEPS_DOCUMENTS)


def limits(serverapp: Any) -> list[str]:
    """What does not work in this server, and because of whom; empty when all does."""
    found = []
    kernels, sessions, contents = (
        serverapp.kernel_manager, serverapp.session_manager, serverapp.contents_manager,
    )  # fmt: skip
    if not keeps_kernels(serverapp):
        found.append(
            f"Kernels are kept by {_name(kernels)}: those on targets are neither recorded nor found again after "
            "a restart of the server."
        )
    if not hasattr(kernels, "notify_connect"):
        found.append(
            f"{_name(kernels)} does not tell which pages are connected: outputs are written into the notebook on "
            "disk, also under an open page."
        )
    if not hasattr(sessions, "save_session"):
        found.append(f"Sessions are kept by {_name(sessions)}: they are not found again, their kernels are.")
    if not hasattr(contents, "register_post_save_hook"):
        found.append(f"{_name(contents)} does not tell of saves: a page says itself what it has saved.")
    if serverapp.web_app.settings.get(SETTING) is not LosslessConnection:
        connection = serverapp.web_app.settings.get(SETTING)
        name = (
            f"{connection.__module__}.{connection.__qualname__}"
            if isinstance(connection, type)
            else connection
        )
        found.append(f"Kernel websockets are served by {name}, whose limiter may drop what is shown live.")
    if serverapp.extension_manager.extension_apps.get(RUNS_CELLS):
        found.append(
            "jupyter-server-nbmodel runs the cells of notebooks: their outputs are its own to keep (they are lost "
            "with the server), and long ones are not shortened."
        )
    if not writes_documents(serverapp):
        found.append(
            "jupyter-server-documents keeps notebooks: outputs come into them through an open page only."
        )
    elif collaborates(serverapp):
        found.append(
            "jupyter-collaboration is on: into a notebook that is open in a room, outputs come through its pages."
        )
    return found


def _name(manager: Any) -> str:
    return f"{type(manager).__module__}.{type(manager).__qualname__}"


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
