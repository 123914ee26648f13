"""Wire types of outputs. Times in seconds since 1970."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """The outputs of one run of a cell so far, as the cell's ``outputs`` in the notebook (nbformat 4.5).

    ``message_ids`` are those of the kernel's last messages in ``outputs``, in order, at most 1,000 while it runs.
    A page that also got them over its websocket leaves them out. ``status`` is empty until the reply.

    ``truncated``: a part is not shown. A display of ours among the outputs (:mod:`.output_limits`) says how
    much, and ``full_output`` names the file with the whole text.
    """

    msg_id: str
    cell_id: str
    state: Literal["running", "done"]
    status: Literal["", "ok", "error", "aborted"] = ""
    execution_count: int | None = None
    outputs: list[dict[str, Any]] = []
    message_ids: list[str] = []
    started_at: float
    ended_at: float | None = None
    truncated: bool = False
    full_output: str = ""
    #: the code that ran: a cell that was edited since does not own the outputs any more
    code: str = ""
    #: whether the saved document has it
    documented: bool = False


class ExecutionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``open``: the runs that the page itself waits for (message ids, with commas between). The answer
    includes them also when the saved document has them: they may have been written to it while the page was
    away."""

    open: str = ""


class Executions(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of a kernel's cells that the saved document does not have, in the order of their start.

    ``recovering``: more runs are about to arrive (the kernel's host is away, or sends its journal), so ask
    again at the next event. ``ended``: the kernel has ended, for ``reason``.
    """

    kernel_id: str
    recovering: bool = False
    ended: bool = False
    reason: str = ""
    executions: list[Execution] = []


class TextQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The requested lines: ``limit`` of them from line ``offset`` (0 is the first)."""

    offset: int = 0
    limit: int = 200


class TextPart(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a run's full output, from line ``first`` on. ``running``: more may come. ``complete``: the end
    is not cut off (a file has at most 2 GiB)."""

    first: int
    lines: list[str]
    total: int
    bytes: int
    running: bool
    complete: bool = True


class TextSearch(msgspec.Struct, frozen=True, kw_only=True):
    """The text to find, from line ``offset`` on; ASCII letters in either case."""

    text: str
    offset: int = 0


class TextFound(msgspec.Struct, frozen=True, kw_only=True):
    """The line; null when no line has the text."""

    line: int | None = None
