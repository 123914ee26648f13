"""Whether outputs of kernels on targets are kept in this server, and how far."""

from __future__ import annotations

from genops_lab.core.models import Check


def examine(limits: list[str], in_server: bool) -> list[Check]:
    """What other extensions own, and what is left alone because of that."""
    title = "Outputs"
    if not in_server:
        detail = (
            "Kernels on targets go on without a JupyterLab; a running one tells how their outputs are kept."
        )
        return [Check(id="outputs", title=title, state="info", detail=detail)]
    if not limits:
        detail = "Outputs of kernels on targets come into their notebooks, with or without an open page."
        return [Check(id="outputs", title=title, state="ok", detail=detail)]
    return [
        Check(
            id="outputs",
            title=title,
            state="warning",
            detail=limit,
            hint="Another extension, or the server's configuration, has the say there.",
        )
        for limit in limits
    ]


def examine_here(not_kept: list[str]) -> Check:
    """Whether kernels of this machine are kept as the settings say."""
    title = "Kernels of this machine"
    if not not_kept:
        detail = "They are started through the agent: their outputs are kept, and they outlive a server that crashes."
        return Check(id="local-kernels", title=title, state="ok", detail=detail)
    return Check(
        id="local-kernels",
        title=title,
        state="warning",
        detail=f"Some are started by Jupyter itself, and end with it: {' '.join(not_kept)}",
        hint="Mend that and restart JupyterLab, or switch GenOpsLab.keep_local_kernels off.",
    )
