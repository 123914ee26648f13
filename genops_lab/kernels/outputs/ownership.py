"""Find out which extensions manage kernels and documents in this server, and what GenOps Lab leaves to them."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.kernelmanager import MappingKernelManager

from .websocket import SETTING, LosslessConnection

#: Extensions that keep outputs and documents on the server themselves.
KEEPS_DOCUMENTS = "jupyter_server_documents"
#: An extension that runs the cells of notebooks in the server, and does not tell the kernel which cell it is.
RUNS_CELLS = "jupyter_server_nbmodel"

EXTENSION = "jupyter_server_ydoc"


def keeps_kernels(serverapp: Any) -> bool:
    """Return whether this server has its kernels itself, without a gateway."""
    manager = serverapp.kernel_manager
    return isinstance(manager, MappingKernelManager) and not serverapp.gateway_config.gateway_enabled


def writes_documents(serverapp: Any) -> bool:
    """Return whether outputs without a page may be written into documents on disk."""
    return not serverapp.extension_manager.extension_apps.get(KEEPS_DOCUMENTS)


def limits(serverapp: Any) -> list[str]:
    """Return what does not work in this server, with the extension that is the reason; empty when all works."""
    found = []
    kernels, sessions, contents = (
        serverapp.kernel_manager, serverapp.session_manager, serverapp.contents_manager,
    )  # fmt: skip
    if not keeps_kernels(serverapp):
        found.append(
            f"{_name(kernels)} manages the kernels: outputs of kernels on targets are not recorded, and "
            "these kernels are not restored after a restart of the server."
        )
    if not hasattr(kernels, "notify_connect"):
        found.append(
            f"{_name(kernels)} does not report connected pages: GenOps Lab writes outputs into the "
            "notebook on disk, also while a page is open."
        )
    if not hasattr(sessions, "save_session"):
        found.append(f"{_name(sessions)} manages the sessions: they are not restored, but their kernels are.")
    if not hasattr(contents, "register_post_save_hook"):
        found.append(f"{_name(contents)} does not report saves: pages report them instead.")
    if serverapp.web_app.settings.get(SETTING) is not LosslessConnection:
        connection = serverapp.web_app.settings.get(SETTING)
        name = (
            f"{connection.__module__}.{connection.__qualname__}"
            if isinstance(connection, type)
            else connection
        )
        found.append(f"{name} serves the kernel websockets, and its limiter may drop live outputs.")
    if serverapp.extension_manager.extension_apps.get(RUNS_CELLS):
        found.append(
            "jupyter-server-nbmodel runs the cells of notebooks and keeps their outputs. They are lost "
            "with the server, and long ones are not shortened."
        )
    if not writes_documents(serverapp):
        found.append(
            "jupyter-server-documents manages notebooks: outputs reach them only through an open page."
        )
    elif collaborates(serverapp):
        found.append(
            "jupyter-collaboration is on: outputs reach a notebook that is open in a room through its pages."
        )
    return found


def _name(manager: Any) -> str:
    return f"{type(manager).__module__}.{type(manager).__qualname__}"


def collaborates(serverapp: Any) -> bool:
    """Return whether jupyter-collaboration is on in this server."""
    return bool(_apps(serverapp))


def in_room(serverapp: Any, path: str) -> bool:
    """Return whether a notebook is open in a room now. Its pages then merge and save outputs."""
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
