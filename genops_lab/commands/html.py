"""Render documents as HTML for a notebook: inline styles, JupyterLab's colours with fallbacks, all text escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .document import Block, Cell, Document, Facts, Lines, Note, Table, Tone, clean

# Text keeps the theme's colour, which has contrast in every theme. A dot shows the tone.
_DOTS: dict[Tone, str] = {
    "good": "var(--jp-success-color1, #2e7d32)",
    "busy": "var(--jp-warn-color1, #e65100)",
    "bad": "var(--jp-error-color1, #c62828)",
    "dim": "var(--jp-border-color1, #9e9e9e)",
}
_CELL = (
    "padding:2px 16px 2px 0;text-align:{align};white-space:nowrap;max-width:40em;"
    "overflow:hidden;text-overflow:ellipsis"
)
_HEAD = "font-weight:600;border-bottom:1px solid var(--jp-border-color2, #e0e0e0)"
#: JupyterLab draws stripes behind rows, and has a colour of its own behind heads.
_NAME = "font-weight:600;background:none"
_TABLE = "border-collapse:collapse;margin:4px 0;color:inherit"


def render(document: Document) -> str:
    """Return one ``div`` with all blocks."""
    inner = "".join(part for block in document.blocks for part in _block(block))
    return (
        '<div style="font-family:var(--jp-ui-font-family, sans-serif);'
        'font-size:var(--jp-ui-font-size1, 13px);color:var(--jp-ui-font-color1, inherit)">'
        f"{inner}</div>"
    )


def _text(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return escape(clean(cell))
    dot = ""
    if cell.tone:
        dot = (
            '<span aria-hidden="true" style="display:inline-block;width:8px;height:8px;border-radius:50%;'
            f'margin-right:6px;background:{_DOTS[cell.tone]}"></span>'
        )
    return dot + escape(clean(cell.text))


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, (Table, Facts)) and block.title:
        yield f'<div style="font-weight:600;margin-top:6px">{escape(clean(block.title))}</div>'
    match block:
        case Table(rows=rows) if not rows:
            yield f"<div>{escape(block.empty)}</div>"
        case Table():
            aligns = ["right" if column.right else "left" for column in block.columns]
            yield f'<table style="{_TABLE}"><thead><tr>'
            for column, align in zip(block.columns, aligns, strict=True):
                yield f'<th scope="col" style="{_CELL.format(align=align)};{_HEAD}">{escape(column.heading)}</th>'
            yield "</tr></thead><tbody>"
            for row in block.rows:
                cells = "".join(
                    f'<td style="{_CELL.format(align=align)}">{_text(cell)}</td>'
                    for cell, align in zip(row, aligns, strict=True)
                )
                yield f"<tr>{cells}</tr>"
            yield "</tbody></table>"
        case Facts():
            yield f'<table style="{_TABLE}"><tbody>'
            for name, value in block.pairs:
                if value not in ("", Cell("")):
                    yield (
                        f'<tr style="background:none"><th scope="row" style="{_CELL.format(align="left")};{_NAME}">'
                        f'{escape(clean(name))}</th><td style="padding:2px 0;text-align:left;'
                        f'overflow-wrap:anywhere">{_text(value)}</td></tr>'
                    )
            yield "</tbody></table>"
        case Lines():
            lines = escape("\n".join(clean(line.expandtabs()) for line in block.lines))
            yield (
                '<pre style="max-height:20em;overflow:auto;margin:4px 0;'
                f'font-size:var(--jp-code-font-size, 12px)" tabindex="0">{lines}</pre>'
            )
        case Note():
            # A grey dot would look like the state of something that has stopped.
            tone: Tone = "" if block.tone == "dim" else block.tone
            yield f'<div style="margin:4px 0">{_text(Cell(block.text, tone))}</div>'
