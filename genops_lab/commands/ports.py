"""``genops ports``: ports of programs on hosts, opened in the browser."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.ports.models import OpenPort, PortsQuery
from genops_lab.ports.service import PortsService

from .completion import remote_kernel_ids
from .grammar import noun
from .session import Json, command
from .views import ports as views

ports = noun()

_WHERE = "A notebook, the id of a kernel or its beginning, or a target."


@ports.command("list")
def list_ports(
    where: Annotated[
        str,
        typer.Argument(
            metavar="KERNEL",
            help=f"{_WHERE} Default: kernels of all connected targets.",
            autocompletion=remote_kernel_ids,
            show_default=False,
        ),
    ] = "",
    json: Json = False,
) -> None:
    """List the ports of programs in kernels.

    Those that are open in JupyterLab follow with their addresses.
    """
    with command(json) as session:
        found = session.call(PortsService.list_ports, query=PortsQuery(where=where))
        opened = session.call(PortsService.list_opened_ports)
        session.show({"listening": found, "opened": opened}, views.ports(found, opened))


@ports.command("open")
def open_port(
    where: Annotated[
        str,
        typer.Argument(
            metavar="KERNEL",
            help=f"{_WHERE} With a target, the program may belong to no kernel.",
            autocompletion=remote_kernel_ids,
        ),
    ],
    port: Annotated[
        str, typer.Argument(metavar="PORT", help="A port, or the path of a unix socket on the host.")
    ],
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Let its pages act as you in JupyterLab. TensorBoard, Gradio and Streamlit need this.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Open a port of a program in JupyterLab, for you alone.

    Without --trust its pages are sandboxed.
    """
    with command(json) as session:
        body = OpenPort(where=where, port=port, trusted=trust)
        found = session.call(PortsService.open_port, body=body)
        session.show(found, views.opened(found))


@ports.command("close")
def close_port(
    host: Annotated[
        str, typer.Argument(metavar="HOST", help="The host, as `genops ports list` names it in the address.")
    ],
    port: Annotated[str, typer.Argument(metavar="PORT", help="The port, as the address names it.")],
    json: Json = False,
) -> None:
    """Close a port in JupyterLab. The program on the host continues."""
    with command(json) as session:
        session.call(PortsService.close_port, host=host, name=port)
        session.show({"host": host, "name": port}, views.closed(host, port))
