"""Ports of programs on hosts as documents."""

from __future__ import annotations

from genops_lab.ports.models import ListeningPort, OpenedPort

from ..document import SHORT_ID, Block, Column, Document, Facts, Note, Row, Table


def ports(found: list[ListeningPort], opened: list[OpenedPort]) -> Document:
    """``ports list``."""
    rows: list[Row] = [
        [each.target, each.port, each.kernel_id[:SHORT_ID], each.notebook, each.command] for each in found
    ]
    columns = [
        Column("target"),
        Column("port"),
        Column("kernel"),
        Column("notebook", shrinks=True, narrowest=16),
        Column("program", shrinks=True, narrowest=16),
    ]
    empty = "No program in a kernel on a connected target listens on a port."
    blocks: list[Block] = [Table(columns, rows, empty=empty)]
    if opened:
        shown: list[Row] = [
            [each.target, each.port, "trusted" if each.trusted else "sandboxed", each.url] for each in opened
        ]
        columns = [Column("target"), Column("port"), Column("pages"), Column("address")]
        blocks.append(Table(columns, shown, title="Open in JupyterLab"))
    elif found:
        blocks.append(Note("Open one: genops ports open KERNEL PORT", "dim"))
    return Document(blocks)


def opened(port: OpenedPort) -> Document:
    """``ports open``."""
    pages = (
        "Its pages can act as you in JupyterLab."
        if port.trusted
        else "Scripts of its pages send no requests as you. If the program needs them, open it with --trust."
    )
    return Document(
        [
            Facts([("address", port.url), ("pages", "trusted" if port.trusted else "sandboxed")]),
            Note(pages, "dim"),
            Note(
                f"If the program asks for its path (Gradio: GRADIO_ROOT_PATH): {port.path.rstrip('/')}", "dim"
            ),
        ]
    )


def closed(host: str, port: str) -> Document:
    """``ports close``."""
    return Document([Note(f"The port {port} of {host} is closed in JupyterLab. The program continues.")])
