"""Options of the commands that let an optimizer of MLflow write: of prompts, and of judges."""

from __future__ import annotations

from typing import Annotated

import typer

from genops_lab.core.errors import InvalidRequest
from genops_lab.genai.prompts.optimization_models import OptimizerName

Optimizer = Annotated[
    str,
    typer.Option(
        "--optimizer",
        metavar="OPTIMIZER",
        help="metaprompt or gepa, which needs gepa and LiteLLM. Default: metaprompt.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="NUMBER", help="The seed of the random split. Default: 0.")
]
Money = Annotated[
    float | None,
    typer.Option("--money", metavar="MONEY", help="The most that all calls may cost. Default: no limit."),
]


def optimizer_of(given: str) -> OptimizerName:
    """Return the optimizer that was given. Raises InvalidRequest."""
    if given not in ("metaprompt", "gepa"):
        raise InvalidRequest(f"There is no optimizer {given!r}.", hint="Give metaprompt or gepa.")
    return "gepa" if given == "gepa" else "metaprompt"
